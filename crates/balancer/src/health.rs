//! Checking nodes: one HTTP GET per node and check, every interval; out after two failures, in after one
//! success.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::model::{Check, Model};
use crate::plan::Health;

mod standing;

pub(crate) use standing::Standing;
use standing::{Finding, Series};

const PROXY_PORT: u16 = 10256;

/// Whom to check, and how.
type Target = (String, Check);

/// What the checks say about a node has changed.
pub(crate) type Verdict = (Target, Standing);

/// How often a node is asked, and how long its answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    pub(crate) patience: Duration,
}

/// Checks that run, and what they found.
pub(crate) struct Checks {
    pace: Pace,
    running: BTreeMap<Target, (SocketAddr, JoinHandle<()>)>,
    verdicts: mpsc::Sender<Verdict>,
    standings: BTreeMap<Target, Standing>,
}

impl Checks {
    /// No checks yet. Verdicts arrive at the receiver; hand them to [`Checks::note`].
    pub(crate) fn new(pace: Pace) -> (Self, mpsc::Receiver<Verdict>) {
        let (verdicts, receiver) = mpsc::channel(256);
        (
            Self {
                pace,
                running: BTreeMap::new(),
                verdicts,
                standings: BTreeMap::new(),
            },
            receiver,
        )
    }

    /// Starts and ends checks so that exactly what the model needs is checked.
    pub(crate) fn follow(&mut self, model: &Model) {
        let wanted = targets(model);
        let (verdicts, pace) = (&self.verdicts, self.pace);
        self.running.retain(|target, (address, task)| {
            let keep = wanted.get(target) == Some(address);
            if !keep {
                task.abort();
                self.standings.remove(target);
            }
            keep
        });
        for (target, address) in wanted {
            self.running.entry(target.clone()).or_insert_with(|| {
                (
                    address,
                    tokio::spawn(check_for_ever(target, address, pace, verdicts.clone())),
                )
            });
        }
    }

    /// Whether every check has found something. A balancer that starts waits for that, for until then it
    /// would send nobody to nodes of which it does not know that they are well.
    pub(crate) fn are_settled(&self) -> bool {
        self.running
            .keys()
            .all(|target| self.standings.contains_key(target))
    }

    /// Takes a verdict in. Says whether it changed anything.
    pub(crate) fn note(&mut self, (target, standing): Verdict) -> bool {
        // A verdict may come from a check that has just ended.
        let known = self.running.contains_key(&target);
        known && self.standings.insert(target, standing) != Some(standing)
    }

    /// The nodes by what the checks say about them.
    pub(crate) fn health(&self) -> Health {
        let mut health = Health::default();
        for ((node, check), standing) in &self.standings {
            let dead = *check == Check::Proxy && *standing == Standing::Dead;
            if *standing == Standing::Passing {
                health
                    .passed
                    .entry(*check)
                    .or_default()
                    .insert(node.clone());
            } else if dead {
                health.dead.insert(node.clone());
            }
        }
        health
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

/// Every node with every check that counts.
fn targets(model: &Model) -> BTreeMap<Target, SocketAddr> {
    let mut checks: BTreeSet<Check> = model
        .frontends
        .iter()
        .map(|frontend| frontend.check)
        .collect();
    // Whether a node lives is asked of its proxy, whatever else is.
    checks.insert(Check::Proxy);
    let mut targets = BTreeMap::new();
    for check in checks {
        for node in &model.nodes {
            let Some(address) = preferred(&node.addresses) else {
                continue;
            };
            let port = match check {
                Check::Proxy => PROXY_PORT,
                Check::Port(port) => port,
            };
            targets.insert((node.name.clone(), check), SocketAddr::new(address, port));
        }
    }
    targets
}

fn preferred(addresses: &[IpAddr]) -> Option<IpAddr> {
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or(addresses.first())
        .copied()
}

async fn check_for_ever(
    target: Target,
    address: SocketAddr,
    pace: Pace,
    verdicts: mpsc::Sender<Verdict>,
) {
    let mut ticks = interval(pace.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut series = Series::default();
    loop {
        ticks.tick().await;
        let finding = find(address, pace.patience).await;
        if let Some(standing) = series.add(finding) {
            tracing::info!(node = target.0, check = ?target.1, ?standing, "node health changed");
            if verdicts.send((target.clone(), standing)).await.is_err() {
                return;
            }
        }
    }
}

async fn find(address: SocketAddr, patience: Duration) -> Finding {
    match timeout(patience, says_200(address)).await {
        Ok(Ok(true)) => Finding::Good,
        Ok(Ok(false)) => Finding::Bad,
        // Somebody's kernel said so: the node lives, only nobody listens there.
        Ok(Err(error)) if answered(&error) => Finding::Bad,
        Ok(Err(_)) | Err(_) => Finding::Silence,
    }
}

fn answered(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
    )
}

/// One GET; only the status line counts.
async fn says_200(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.starts_with(b"HTTP/1.") && head.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::model::Node;

    #[tokio::test]
    async fn a_node_passes_at_its_first_answer_and_fails_after_two_refusals() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            }
        });
        let check = Check::Port(address.port());
        let node = Node {
            name: "a".into(),
            addresses: vec![address.ip()],
            leaving: false,
        };
        let mut model = Model {
            frontends: Vec::new(),
            nodes: vec![node],
        };
        let (mut checks, mut verdicts) = Checks::new(Pace {
            interval: Duration::from_millis(20),
            patience: Duration::from_secs(10),
        });
        checks.follow(&model);
        assert_eq!(checks.running.len(), 1, "only the proxy is asked yet");
        model.frontends.push(frontend(check));
        checks.follow(&model);
        assert!(!checks.are_settled());
        let mut next = async || loop {
            let verdict = verdicts.recv().await.expect("a verdict");
            // Nobody answers on the proxy's own port here; that verdict is of no interest.
            if verdict.0.1 == check {
                break verdict;
            }
        };
        assert!(checks.note(next().await));
        assert!(checks.health().passed[&check].contains("a"));
        server.abort();
        let verdict = next().await;
        assert_eq!(verdict.1, Standing::Failing, "its kernel still answers");
        assert!(checks.note(verdict));
        assert_eq!(checks.health(), Health::default());
    }

    fn frontend(check: Check) -> crate::model::Frontend {
        crate::model::Frontend {
            service: "n/web".into(),
            address: IpAddr::from([198, 18, 1, 1]),
            port: 80,
            protocol: crate::model::Protocol::Tcp,
            way: crate::model::Way::HandOver,
            source_ranges: Vec::new(),
            check,
            affinity: false,
        }
    }
}
