//! A client that keeps sending requests, each over a connection of its own, and counts by phase
//! which of them failed and how.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kernel::NetNs;

/// How long a request may take before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many requests may be under way: those that wait for their timeout hold up no other.
const MOST_AT_ONCE: usize = 1000;
/// No load runs longer than this, whatever its owner does.
const LONGEST: Duration = Duration::from_secs(300);

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The connection was refused.
    Refused,
    /// The connection was reset, while it was made or later.
    Reset,
    /// No answer in time.
    Timeout,
    /// There was no way to the address.
    NoRoute,
    /// The connection ended before the answer was whole.
    Cut,
    /// Anything else.
    Other,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::NoRoute,
            io::ErrorKind::UnexpectedEof => Self::Cut,
            _ => Self::Other,
        }
    }
}

/// One request over a fresh connection; the first line of the answer's body.
///
/// # Errors
/// How it failed.
pub fn ask(address: SocketAddr) -> Result<String, Failure> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(Failure::Cut)?;
    if head.starts_with("HTTP/1.1 200") && body.starts_with("pod=") {
        Ok(body.lines().next().unwrap_or_default().to_owned())
    } else {
        Err(Failure::Other)
    }
}

/// What happened in one phase.
#[derive(Clone, Debug, Default)]
pub struct Phase {
    /// What was going on.
    pub name: String,
    /// How many requests were sent.
    pub sent: usize,
    /// How many failed, by how.
    pub failed: BTreeMap<Failure, usize>,
    /// When the first and the last of them were sent, since the phase began.
    pub window: Option<(Duration, Duration)>,
    /// The slowest of those that succeeded.
    pub slowest: Duration,
    /// Which pods answered, and how often.
    pub pods: BTreeMap<String, usize>,
    /// How long it lasted.
    pub lasted: Duration,
}

impl Phase {
    /// How many failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failed.values().sum()
    }

    fn count(&mut self, sent: Duration, took: Duration, outcome: Result<String, Failure>) {
        self.sent += 1;
        match outcome {
            Ok(answer) => {
                self.slowest = self.slowest.max(took);
                let pod = answer.split(' ').next().unwrap_or_default();
                let pod = pod.trim_start_matches("pod=").to_owned();
                *self.pods.entry(pod).or_default() += 1;
            }
            Err(failure) => {
                *self.failed.entry(failure).or_default() += 1;
                let (first, last) = self.window.unwrap_or((sent, sent));
                self.window = Some((first.min(sent), last.max(sent)));
            }
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.lasted.as_secs_f64();
        write!(
            out,
            "{:<34} {:>5} requests in {seconds:>4.1} s by {} pods, slowest {:>4} ms, {} failed",
            self.name,
            self.sent,
            self.pods.len(),
            self.slowest.as_millis(),
            self.failures(),
        )?;
        if let Some((first, last)) = self.window {
            let (first, last) = (first.as_millis(), last.as_millis());
            write!(
                out,
                " ({:?}, sent {first} to {last} ms after its begin)",
                self.failed
            )?;
        }
        Ok(())
    }
}

/// A load under way.
pub struct Load {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    /// How many requests are under way.
    under_way: AtomicUsize,
    /// The phases so far, the present one last, and when that began.
    phases: Mutex<(Vec<Phase>, Instant)>,
}

impl Load {
    /// Starts `rate` requests a second to `address`, from inside `namespace`.
    #[must_use]
    pub fn start(namespace: &NetNs, address: SocketAddr, rate: u32, first_phase: &str) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            phases: Mutex::new((vec![named(first_phase)], Instant::now())),
        });
        let pause = Duration::from_secs(1) / rate;
        let (inside, owned) = (namespace.clone(), shared.clone());
        let sender = std::thread::spawn(move || {
            let sent = inside.run(|| keep_sending(&owned, address, pause));
            sent.expect("the client's namespace is there");
        });
        Self {
            shared,
            sender: Some(sender),
        }
    }

    /// From here on it is another phase.
    pub fn phase(&self, name: &str) {
        let mut phases = self.shared.phases();
        let (all, began) = &mut *phases;
        if let Some(last) = all.last_mut() {
            last.lasted = began.elapsed();
        }
        all.push(named(name));
        *began = Instant::now();
    }

    /// Ends it, and says what happened.
    ///
    /// # Panics
    /// When a request panicked.
    #[must_use]
    pub fn finish(mut self) -> Vec<Phase> {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            sender.join().expect("no request panics");
        }
        let mut phases = self.shared.phases();
        let (all, began) = &mut *phases;
        if let Some(last) = all.last_mut() {
            last.lasted = began.elapsed();
        }
        std::mem::take(all)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn phases(&self) -> std::sync::MutexGuard<'_, (Vec<Phase>, Instant)> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request. It belongs to the phase it was sent in.
    fn send(&self, address: SocketAddr) {
        let (phase, since) = {
            let phases = self.phases();
            (phases.0.len() - 1, phases.1)
        };
        let sent = Instant::now();
        let outcome = ask(address);
        let took = sent.elapsed();
        if let Some(phase) = self.phases().0.get_mut(phase) {
            phase.count(sent - since, took, outcome);
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends until told to stop, each request from a thread of its own: a thread is in the network of the one
/// that starts it.
fn keep_sending(shared: &Shared, address: SocketAddr, pause: Duration) {
    let began = Instant::now();
    let mut due = began;
    std::thread::scope(|scope| {
        while !shared.stop.load(Ordering::Relaxed) && began.elapsed() < LONGEST {
            if shared.under_way.fetch_add(1, Ordering::Relaxed) < MOST_AT_ONCE {
                let request = std::thread::Builder::new().stack_size(128 * 1024);
                let started = request.spawn_scoped(scope, || shared.send(address));
                started.expect("a thread can be had");
            } else {
                shared.under_way.fetch_sub(1, Ordering::Relaxed);
            }
            due += pause;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
}

fn named(name: &str) -> Phase {
    Phase {
        name: name.to_owned(),
        ..Phase::default()
    }
}
