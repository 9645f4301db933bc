//! What a cluster must not leave behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::command::CommandSteps as _;
use kernel::{NetNs, cgroup, mount};

use crate::host::Host;

/// All that a cluster could leave on a machine, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    links: String,
    addresses: String,
    routes: String,
    tables: String,
    mounts: Vec<PathBuf>,
    cgroups: BTreeSet<PathBuf>,
    processes: BTreeSet<String>,
    files: BTreeSet<PathBuf>,
}

impl Traces {
    /// What there is of the cluster of `place` on `host`, and of the host itself.
    ///
    /// # Panics
    /// When the machine cannot be asked.
    #[must_use]
    pub fn of(host: &Host, place: &cluster::Place) -> Self {
        let on_host = |line: &str| printed(host.namespace(), line);
        let routes =
            ["-4", "-6"].map(|family| on_host(&format!("ip {family} route show table all")));
        Self {
            links: on_host("ip -o link"),
            addresses: on_host("ip -o address"),
            routes: routes.concat(),
            tables: on_host("nft list ruleset"),
            mounts: mounts(place),
            cgroups: cgroups(place),
            processes: processes(place),
            files: [place.run_dir(), place.data_dir().to_owned()]
                .into_iter()
                .filter(|path| path.exists())
                .collect(),
        }
    }
}

impl Traces {
    /// The same without the data directory, which may be meant to stay.
    #[must_use]
    pub fn without_data(mut self, place: &cluster::Place) -> Self {
        self.files.remove(place.data_dir());
        self
    }
}

/// What a command prints inside a namespace. Counters of links change by themselves.
fn printed(namespace: &NetNs, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .in_namespace(namespace)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn mounts(place: &cluster::Place) -> Vec<PathBuf> {
    let below = |folder: &Path| mount::below(folder).expect("the mount table can be read");
    [below(&place.run_dir()), below(place.data_dir())].concat()
}

fn cgroups(place: &cluster::Place) -> BTreeSet<PathBuf> {
    let mounts = cgroup::all_mounts();
    let paths = mounts.iter().map(|mount| mount.join(place.cgroup_name()));
    paths.filter(|path| path.exists()).collect()
}

/// Processes that were told of the cluster on their command line.
fn processes(place: &cluster::Place) -> BTreeSet<String> {
    let data_dir = place.data_dir().to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines
        .filter(|line| line.contains(place.id()) || line.contains(&data_dir))
        .collect()
}
