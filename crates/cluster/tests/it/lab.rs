//! A host for a test, what its clusters are made of, and what must not be left of them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::{Options, Place, Running};
use kernel::{Cgroup, NetNs, Netlink, cgroup, mount};

/// A role that is ready at once and then does nothing; the API server also writes its kubeconfig.
const STAND_IN: &str = r#"#!/bin/sh
while [ $# -gt 1 ]; do
    case "$1" in
    --ready-file) ready=$2 ;;
    --cluster-kubeconfig) kubeconfig=$2 ;;
    esac
    shift
done
if [ -n "$kubeconfig" ]; then
    mkdir -p "${kubeconfig%/*}"
    : > "$kubeconfig"
fi
: > "$ready"
exec sleep 100000
"#;

/// A host of its own, and a folder for programs and data.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    host: NetNs,
    pub(crate) places: Mutex<Vec<Place>>,
}

impl Lab {
    /// Runs `case` with a fresh lab, inside the lab's host, and cleans up whatever came of it.
    pub(crate) fn run<F: Future<Output = ()>>(case: impl FnOnce(Arc<Self>) -> F + Send) {
        let folder = tempfile::tempdir().unwrap();
        let host = NetNs::create(&folder.path().join("host")).unwrap();
        let lab = Arc::new(Self {
            folder,
            host,
            places: Mutex::default(),
        });
        let program = lab.program();
        std::fs::write(&program, STAND_IN).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let host = lab.host.clone();
        host.run(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(case(lab));
        })
        .unwrap();
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("fairway")
    }

    pub(crate) fn options(&self, name: &str) -> Options {
        let mut options = Options::new(self.program(), self.folder.path().join(name));
        options.nodes = 2;
        self.places
            .lock()
            .unwrap()
            .push(Place::of(&options.data_dir).unwrap());
        options
    }

    pub(crate) async fn up(&self, name: &str) -> Running {
        cluster::up(self.options(name), |_| {}).await.unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for place in self.places.lock().unwrap().iter() {
            for mount in cgroup::all_mounts() {
                let group = Cgroup::at(&mount.join(place.cgroup_name()));
                group.kill().ok();
                group.remove().ok();
            }
            mount::below(&place.run_dir())
                .unwrap_or_default()
                .iter()
                .for_each(|point| {
                    NetNs::delete(point).ok();
                });
            std::fs::remove_dir_all(place.run_dir()).ok();
        }
        NetNs::delete(&self.folder.path().join("host")).ok();
    }
}

/// Everything that must not be there after `down`, looked for one by one.
pub(crate) async fn assert_nothing_left(place: &Place) {
    assert!(!place.run_dir().exists(), "{:?}", place.run_dir());
    assert!(mount::below(&place.run_dir()).unwrap().is_empty());
    for mount in cgroup::all_mounts() {
        assert!(!mount.join(place.cgroup_name()).exists());
    }
    let netlink = Netlink::here().unwrap();
    let links = netlink.links().await.unwrap();
    assert!(
        links.iter().all(|link| link.name != place.host_link()),
        "{links:?}"
    );
    let routes = netlink.routes().await.unwrap();
    let index = links.iter().map(|link| link.index).collect::<Vec<_>>();
    assert!(
        routes
            .iter()
            .all(|route| route.link.is_none_or(|link| index.contains(&link)))
    );
    let ours = |pid: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(place.id())
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    assert!(
        !processes
            .into_iter()
            .any(|entry| ours(&entry.file_name().to_string_lossy()))
    );
}

pub(crate) fn pids(place: &Place) -> Vec<Option<u32>> {
    cluster::status(place)
        .unwrap()
        .roles
        .iter()
        .map(|role| role.pid)
        .collect()
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "not seen in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn kill(pid: u32) {
    kernel::Pidfd::open(pid)
        .unwrap()
        .signal(nix::sys::signal::Signal::SIGKILL)
        .unwrap();
}
