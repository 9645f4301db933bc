//! Our API server, in process, held to what an unmodified kube-apiserver 1.36.3 answered.
//!
//! Every recording of every area is replayed. Those that differ today are named in
//! `recordings/different.txt`; a recording that is not named there and differs fails the test, and so does a
//! named one that has come to agree, so that the list only shrinks. `UPDATE_RECORDED=1` writes it anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use apiserver::{Config, Server};
use controllers::Selection;
use futures::StreamExt as _;
use store::Embedded;
use testkit::recorded::{InProcess, Recording, area, replay};

/// Recorded from a server alone, of one address family.
const ALONE: &[&str] = &[
    "apply",
    "crds",
    "deployments",
    "endpoints",
    "http",
    "lists",
    "nodes",
    "objects",
    "patches",
    "pods",
    "rbac",
    "replicasets",
    "service-allocate",
    "service-apply",
    "service-create",
    "service-status",
    "service-update",
    "watches",
];
/// Recorded with the controllers, one scenario after the other.
const CONTROLLERS: &[&str] = &[
    "controllers-deployments",
    "controllers-endpoints",
    "controllers-endpointslices",
    "controllers-misc",
];
/// These pass whole; `different.txt` may not name them.
const WHOLE: &[&str] = &[];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_alone_answers_as_recorded() -> Result<()> {
    let place = Place::start(&["10.96.0.0/16"], None).await?;
    place.judge("alone", ALONE, 8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dual_stack_server_answers_as_recorded() -> Result<()> {
    let place = Place::start(&["10.96.0.0/16", "fd00:10:96::/112"], None).await?;
    place.judge("dualstack", &["service-dualstack"], 4).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_controllers_do_as_recorded() -> Result<()> {
    let place = Place::start(
        &["10.96.0.0/16"],
        Some("*,-scheduler,-node-ipam-controller"),
    )
    .await?;
    place.judge("controllers", CONTROLLERS, 1).await
}

/// A server in this process.
struct Place {
    server: Server,
    controllers: Option<tokio::task::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn start(ranges: &[&str], controllers: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::new(folder.path());
        config.service_cidrs = ranges
            .iter()
            .map(|range| range.parse())
            .collect::<Result<_, _>>()?;
        config.service_account_admission = controllers.is_some();
        let store = Arc::new(Embedded::open(folder.path().join("store.redb"))?);
        let server = Server::start(config, store, Vec::new()).await?;
        let controllers = controllers
            .map(|selection| run_controllers(&server, selection))
            .transpose()?;
        Ok(Self {
            server,
            controllers,
            _folder: folder,
        })
    }

    /// Replays areas, so many recordings at a time, and compares with the list.
    async fn judge(self, list: &str, areas: &[&str], at_once: usize) -> Result<()> {
        let root = recordings();
        let mut files = Vec::new();
        for name in areas {
            files.extend(area(&root, name).map_err(anyhow::Error::msg)?);
        }
        let judged: Vec<(String, Vec<String>)> = futures::stream::iter(files.iter().enumerate())
            .map(|(number, file)| self.one(number, file))
            .buffered(at_once)
            .collect()
            .await;
        if let Some(task) = self.controllers {
            task.abort();
        }
        self.server.shutdown().await;
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
        compare(list, &judged)
    }

    async fn one(&self, number: usize, file: &Path) -> (String, Vec<String>) {
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        let stem = file.file_stem().unwrap_or_default();
        let name = format!("{}/{}", folder.to_string_lossy(), stem.to_string_lossy());
        let asked = match Recording::load(file) {
            Ok(recording) => {
                let service = InProcess(self.server.service());
                replay(&service, &recording, &format!("g-{number:08}")).await
            }
            Err(error) => Err(error),
        };
        (name, asked.unwrap_or_else(|error| vec![error]))
    }
}

fn run_controllers(server: &Server, selection: &str) -> Result<tokio::task::JoinHandle<()>> {
    let client = kube::Client::new(server.service(), "default");
    let mut config = controllers::Config::new(client, "recorded");
    config.enabled = Selection::parse(selection)?;
    config.root_ca = Some(server.authority().certificate().to_owned());
    Ok(tokio::spawn(controllers::run(
        config,
        std::future::pending(),
    )))
}

/// Holds what was found to the list of known differences.
fn compare(list: &str, judged: &[(String, Vec<String>)]) -> Result<()> {
    let path = recordings().join(format!("different-{list}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let known: BTreeSet<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let differ = judged.iter().filter(|(_, found)| !found.is_empty());
    let differ: BTreeSet<&str> = differ.map(|(name, _)| name.as_str()).collect();
    for (name, found) in judged.iter().filter(|(name, _)| {
        std::env::var_os("SHOW_RECORDED")
            .is_some_and(|show| name.starts_with(&*show.to_string_lossy()))
    }) {
        found
            .iter()
            .take(8)
            .for_each(|difference| println!("{name}: {difference}"));
    }
    if std::env::var_os("UPDATE_RECORDED").is_some() {
        let head = "# Recordings whose answers we do not give yet; see tests/recorded.rs.\n";
        let lines: String = differ.iter().map(|name| format!("{name}\n")).collect();
        return std::fs::write(&path, format!("{head}{lines}"))
            .with_context(|| path.display().to_string());
    }
    let mut wrong = Vec::new();
    for (name, found) in judged
        .iter()
        .filter(|(name, found)| !found.is_empty() && !known.contains(name.as_str()))
    {
        wrong.push(format!("{name} differs:\n  {}", found.join("\n  ")));
    }
    for name in known.difference(&differ) {
        wrong.push(format!("{name} agrees now: take it off {}", path.display()));
    }
    for name in known
        .iter()
        .filter(|name| WHOLE.iter().any(|area| name.starts_with(area)))
    {
        wrong.push(format!("{name} is of an area that has to pass whole"));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        bail!("{}", wrong.join("\n"))
    }
}

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}
