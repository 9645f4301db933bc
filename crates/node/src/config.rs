//! What a node must be told.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A node's configuration.
pub struct Config {
    /// The Node object's name.
    pub node_name: String,
    /// How the API server is reached.
    pub client: kube::Client,
    /// The cluster's certificate authority (PEM): whose clients may read logs and run commands.
    /// Without it neither is served.
    pub client_ca: Option<Vec<u8>>,
    /// What survives a reboot: logs, volumes (`D/nodes/<node>`).
    pub data_directory: PathBuf,
    /// The image store, shared by all nodes of a machine (`D/images`).
    pub images_directory: PathBuf,
    /// What does not survive a reboot: sockets and states (`/run/fairway/<id>/…/<node>`).
    pub run_directory: PathBuf,
    /// The node's cgroup (version 2); pods get groups below its `pods`. None: pods have no groups.
    pub cgroup: Option<PathBuf>,
    /// The node's own addresses, the primary family first.
    pub addresses: Vec<IpAddr>,
    /// The link to the other nodes.
    pub link: String,
    /// How often the Lease is renewed.
    pub lease_renew: Duration,
    /// How long the Lease holds.
    pub lease_duration: Duration,
    /// Port for logs and commands; kubelet's is [`KUBELET_PORT`].
    pub log_port: u16,
    /// How pods run.
    pub runtime: RuntimeKind,
    /// The command that starts a supervisor; the path of its configuration is appended.
    pub supervisor: Vec<OsString>,
    /// Whether pods may mount files of the machine (`hostPath`).
    pub host_paths: bool,
    /// Labels of the Node object besides the usual ones.
    pub labels: Vec<(String, String)>,
    /// Told once, when the Node is posted as ready.
    pub ready: Ready,
}

/// Who is to be told, once, that the node is ready.
#[derive(Default)]
pub struct Ready(Mutex<Option<Announcement>>);

type Announcement = Box<dyn FnOnce() + Send>;

impl From<Announcement> for Ready {
    fn from(announcement: Announcement) -> Self {
        Self(Mutex::new(Some(announcement)))
    }
}

impl Ready {
    /// Tells; from the second time on nothing happens.
    pub(crate) fn announce(&self) {
        let announcement = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(announcement) = announcement {
            announcement();
        }
    }
}

/// The port on which the API server asks a node for logs.
pub const KUBELET_PORT: u16 = 10250;

/// How often kubelet renews its Lease.
pub const LEASE_RENEW: Duration = Duration::from_secs(10);

/// How long kubelet's Lease holds.
pub const LEASE_DURATION: Duration = Duration::from_secs(40);

/// How a node runs containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeKind {
    /// Plain processes in the pod's namespaces, sharing the node's files. Built-in images only.
    Processes,
    /// Containers with a root of their own.
    #[default]
    Containers,
}

impl Config {
    /// The command that starts this very program as a supervisor.
    #[must_use]
    pub fn own_supervisor() -> Vec<OsString> {
        vec!["/proc/self/exe".into(), "pod".into()]
    }

    /// A pod's directory for sockets and states.
    pub(crate) fn pod_run_directory(&self, uid: &str) -> PathBuf {
        self.run_directory.join("pods").join(uid)
    }

    /// A pod's directory for logs and volumes.
    pub(crate) fn pod_data_directory(&self, uid: &str) -> PathBuf {
        self.data_directory.join("pods").join(uid)
    }

    /// The log of an attempt.
    pub(crate) fn log(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        let directory = self.pod_data_directory(uid).join(container);
        directory.join(format!("{attempt}.log"))
    }

    /// What the program of an attempt leaves as its last words.
    pub(crate) fn termination_log(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        let directory = self.pod_data_directory(uid).join(container);
        directory.join(format!("{attempt}.termination"))
    }

    /// The bundle of an attempt: its runtime specification and its root.
    pub(crate) fn bundle(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        let directory = self.pod_run_directory(uid).join(container);
        directory.join(attempt.to_string())
    }

    /// What an attempt writes over its image.
    pub(crate) fn writable(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        let directory = self.pod_data_directory(uid).join(container);
        directory.join(attempt.to_string())
    }

    // Names with a dot are no names of containers, which are neighbours.

    /// A volume of files that the node writes. In memory, for Secrets are among them.
    pub(crate) fn volume_of_files(&self, uid: &str, volume: &str) -> PathBuf {
        self.pod_run_directory(uid).join("volumes.d").join(volume)
    }

    /// A volume that is a folder.
    pub(crate) fn volume_folder(&self, uid: &str, volume: &str) -> PathBuf {
        self.pod_data_directory(uid).join("volumes.d").join(volume)
    }

    /// A volume in memory.
    pub(crate) fn volume_in_memory(&self, uid: &str, volume: &str) -> PathBuf {
        self.pod_run_directory(uid).join("memory.d").join(volume)
    }

    /// The pod's `/dev/shm`.
    pub(crate) fn shared_memory(&self, uid: &str) -> PathBuf {
        self.pod_run_directory(uid).join("shm.d")
    }

    /// Where parts of volumes are shown for a container.
    pub(crate) fn volume_parts(&self, uid: &str, container: &str) -> PathBuf {
        self.pod_run_directory(uid).join("parts.d").join(container)
    }

    /// The pod's own files of `/etc`.
    pub(crate) fn etc(&self, uid: &str) -> PathBuf {
        self.pod_data_directory(uid).join("etc.d")
    }

    /// A pod's cgroup below the mount point of every hierarchy.
    pub(crate) fn cgroup_path(&self, uid: &str, unified: Option<&Path>) -> PathBuf {
        let own = self.pod_cgroup(uid);
        let relative = own
            .as_ref()
            .zip(unified)
            .and_then(|(own, mount)| own.strip_prefix(mount).ok());
        match relative {
            Some(path) => Path::new("/").join(path),
            None => PathBuf::from(format!("/fairway-{}/pods/{uid}", self.node_name)),
        }
    }

    /// A pod's cgroup.
    pub(crate) fn pod_cgroup(&self, uid: &str) -> Option<PathBuf> {
        Some(self.cgroup.as_ref()?.join("pods").join(uid))
    }
}
