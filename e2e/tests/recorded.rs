//! Our API server, in process, held to what an unmodified kube-apiserver 1.36.3 answered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use apiserver::{Config, Server};
use controllers::Selection;
use futures::StreamExt as _;
use store::Embedded;
use testkit::recorded::{InProcess, Recording, area, replay};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Recorded from a server alone, of one address family. `RECORDED_AREAS=http,pods` asks others instead.
const ALONE: &[&str] = &[
    "service-allocate",
    "service-create",
    "service-status",
    "service-update",
    "service-apply",
    "lists",
    "watches",
    "objects",
    "patches",
    "apply",
    "endpoints",
    "replicasets",
    "pods",
    "pod-validation",
    "deployments",
    "nodes",
    "kinds",
    "http",
    "service-more",
    "lists-more",
    "objects-more",
    "http-more",
];

/// Recordings that are not held to yet, each with its reason.
const NOT_YET: &[(&str, &str)] = &[
    ("pods/quota-and-limits", "LimitRange is not served"),
    (
        "deployments/controller-revision-and-autoscaler",
        "their kinds are not served",
    ),
    ("deployments/cronjob", "CronJob is not served"),
    ("deployments/daemonset", "DaemonSet is not served"),
    ("nodes/event-core", "events.k8s.io is not served"),
    ("nodes/event-new", "events.k8s.io is not served"),
    ("nodes/runtimeclass", "RuntimeClass is not served"),
    ("nodes/storage", "storage kinds are not served"),
    ("nodes/token-use", "no ServiceAccount tokens are issued"),
    (
        "http/anonymous",
        "the client in this process is always the administrator",
    ),
    (
        "http/unauthenticated",
        "the client in this process is always the administrator",
    ),
    ("http/rights-by-role", "there is no RBAC"),
    ("http/discovery-groups", "not all of the groups are served"),
    (
        "http/discovery-aggregated",
        "not all of the groups are served",
    ),
    (
        "controllers-misc/cluster-role-aggregation",
        "there is no RBAC",
    ),
    ("controllers-misc/daemonset", "DaemonSet is not served"),
    ("controllers-misc/job", "Job is not served"),
    ("controllers-misc/job-deadline", "Job is not served"),
    ("controllers-misc/job-indexed", "Job is not served"),
    (
        "controllers-misc/job-suspended-and-ttl",
        "Job is not served",
    ),
    ("controllers-misc/statefulset", "StatefulSet is not served"),
    (
        "controllers-misc/statefulset-parallel",
        "StatefulSet is not served",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_alone_answers_as_recorded() -> Result<()> {
    let place = Place::start(ONE_FAMILY).await?;
    let asked = std::env::var("RECORDED_AREAS").unwrap_or_default();
    let areas: Vec<&str> = match asked.as_str() {
        "" => ALONE.to_vec(),
        list => list.split(',').collect(),
    };
    place.judge(&areas, 8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dual_stack_server_answers_as_recorded() -> Result<()> {
    let place = Place::start(BOTH_FAMILIES).await?;
    place.judge(&["service-dualstack"], 4).await
}

const ONE_FAMILY: &[&str] = &["10.96.0.0/16"];
const BOTH_FAMILIES: &[&str] = &["10.96.0.0/16", "fd00:10:96::/112"];

/// Recorded with kube-controller-manager: one scenario after the other, so each area has a server of its own.
const WITH_CONTROLLERS: &[(&str, &[&str])] = &[
    ("controllers-deployments", ONE_FAMILY),
    ("controllers-dualstack", BOTH_FAMILIES),
    ("controllers-endpoints", ONE_FAMILY),
    ("controllers-endpointslices", ONE_FAMILY),
    ("controllers-misc", ONE_FAMILY),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_with_controllers_answers_as_recorded() -> Result<()> {
    let areas = WITH_CONTROLLERS.iter().map(|(area, ranges)| async move {
        let place = Place::with_controllers(ranges).await?;
        place.judge(&[area], 1).await
    });
    let problems: Vec<String> = futures::future::join_all(areas)
        .await
        .into_iter()
        .filter_map(|judged| Some(judged.err()?.to_string()))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("{}", problems.join("\n"))
    }
}

/// A server in this process.
struct Place {
    server: Server,
    controllers: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn start(ranges: &[&str]) -> Result<Self> {
        Self::start_with(ranges, |_| {}).await
    }

    async fn start_with(ranges: &[&str], set: impl FnOnce(&mut Config)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::new(folder.path());
        config.service_cidrs = ranges
            .iter()
            .map(|range| range.parse())
            .collect::<Result<_, _>>()?;
        set(&mut config);
        let store = Arc::new(Embedded::open(folder.path().join("store.redb"))?);
        let server = Server::start(config, store, Vec::new()).await?;
        Ok(Self {
            server,
            controllers: None,
            _folder: folder,
        })
    }

    /// All controllers but the scheduler, and ServiceAccount admission.
    async fn with_controllers(ranges: &[&str]) -> Result<Self> {
        let mut place =
            Self::start_with(ranges, |config| config.service_account_admission = true).await?;
        let client = kube::Client::new(place.server.service(), "default");
        let mut config = controllers::Config::new(client, "recorded");
        config.enabled = Selection::parse("*,-scheduler")?;
        config.root_ca = Some(place.server.authority().certificate().to_owned());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(controllers::run(config, async {
            let _ = stopped.await;
        }));
        place.controllers = Some((stop, running));
        Ok(place)
    }

    async fn shutdown(self) -> Result<()> {
        if let Some((stop, running)) = self.controllers {
            let _ = stop.send(());
            running.await?;
        }
        self.server.shutdown().await;
        Ok(())
    }

    /// Replays areas, so many recordings at a time.
    async fn judge(self, areas: &[&str], at_once: usize) -> Result<()> {
        let root = recordings();
        let mut files = Vec::new();
        for name in areas {
            files.extend(area(&root, name).map_err(anyhow::Error::msg)?);
        }
        if self.controllers.is_some() {
            // They would wait in vain for what nobody does.
            files.retain(|file| is_held(&name_of(file)));
        }
        let judged: Vec<(String, Vec<String>)> = futures::stream::iter(files.iter().enumerate())
            .map(|(number, file)| self.one(number, file))
            .buffered(at_once)
            .collect()
            .await;
        self.shutdown().await?;
        for name in areas {
            let of_area = |(recording, _): &&(String, Vec<String>)| {
                recording.starts_with(&format!("{name}/"))
            };
            let all = judged.iter().filter(of_area).count();
            let agree = judged
                .iter()
                .filter(of_area)
                .filter(|(_, found)| found.is_empty())
                .count();
            println!("{name}: {agree} of {all}");
        }
        compare(&judged)
    }

    /// Some recordings look after a fixed second at what controllers do at their own pace, so on a busy
    /// machine they may look too early: with controllers, what differs is asked once more in another namespace.
    async fn one(&self, number: usize, file: &Path) -> (String, Vec<String>) {
        let name = name_of(file);
        let mut found = self.ask(file, &format!("g-{number:08}")).await;
        if self.controllers.is_some() && is_held(&name) && !found.is_empty() {
            println!(
                "{name} is asked once more, for it differed:\n  {}",
                found.join("\n  ")
            );
            found = self.ask(file, &format!("h-{number:08}")).await;
        }
        (name, found)
    }

    async fn ask(&self, file: &Path, namespace: &str) -> Vec<String> {
        let asked = match Recording::load(file) {
            Ok(recording) => {
                let service = InProcess(self.server.service());
                replay(&service, &recording, namespace).await
            }
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| vec![error])
    }
}

/// `area/recording`.
fn name_of(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    let stem = file.file_stem().unwrap_or_default();
    format!("{}/{}", folder.to_string_lossy(), stem.to_string_lossy())
}

fn is_held(name: &str) -> bool {
    !NOT_YET.iter().any(|(other, _)| *other == name)
}

fn compare(judged: &[(String, Vec<String>)]) -> Result<()> {
    for (name, _) in judged
        .iter()
        .filter(|(name, found)| !is_held(name) && found.is_empty())
    {
        println!("{name} passes: it can be held to from now on");
    }
    let differ = judged
        .iter()
        .filter(|(name, found)| is_held(name) && !found.is_empty());
    let texts: Vec<String> = differ
        .map(|(name, found)| format!("{name}:\n  {}", found.join("\n  ")))
        .collect();
    if texts.is_empty() {
        Ok(())
    } else {
        bail!("{}", texts.join("\n"))
    }
}

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}
