//! What the agent tells a supervisor at its start: one JSON file, written before the process exists.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext};

/// The configuration's name in the pod's run directory.
pub const CONFIG_FILE: &str = "supervisor.json";

/// The socket's name in the pod's run directory.
pub const SOCKET_FILE: &str = "supervisor.sock";

/// Written to standard output when the namespaces exist and the socket takes connections.
pub const READY_LINE: &str = "ready";

/// A link in the pod's run directory to the pid namespace that a pod's containers share.
pub const PID_NAMESPACE_FILE: &str = "pid-namespace";

/// A supervisor's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// `namespace/name`, for messages.
    pub pod: String,
    /// The pod's uid; the agent compares it before it adopts.
    pub uid: String,
    /// Where the socket and the containers' records live; a tmpfs in practice.
    pub run_directory: PathBuf,
    /// Absolute path of the pod's cgroup (version 2) to make and join; none where there is no such tree.
    pub cgroup: Option<PathBuf>,
    /// The pod's host name; the node's for a pod on the node's network.
    pub hostname: String,
    /// Stay in the network namespace of the node.
    pub host_network: bool,
    /// Stay in the IPC namespace of the node.
    #[serde(default)]
    pub host_ipc: bool,
    /// Make one pid namespace for all containers, with a reaper as its first process; it is reached by
    /// [`PID_NAMESPACE_FILE`].
    #[serde(default)]
    pub share_process_namespace: bool,
    /// Have a mount namespace of its own, so that containers' roots appear in no other mount table. Needed for
    /// containers.
    pub private_mounts: bool,
    /// File systems in memory that the pod's containers can share: volumes and `/dev/shm`.
    #[serde(default)]
    pub tmpfs: Vec<Tmpfs>,
    /// Settings under `/proc/sys`, written before the first container starts.
    pub sysctls: Vec<(String, String)>,
}

/// A file system in memory. It is mounted in the supervisor's mount namespace, so private mounts are needed,
/// nobody else sees it except by `/proc/<supervisor>/root`, and it goes when the supervisor goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tmpfs {
    /// Where; made when it is missing.
    pub path: PathBuf,
    /// Its greatest size in bytes; half of the machine's memory when absent.
    pub bytes: Option<u64>,
    /// Its root's permission bits, such as `0o1777`.
    pub mode: u32,
    /// Its root's group.
    pub group: Option<u32>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read or is no configuration.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).context("read the configuration", path)?;
        serde_json::from_slice(&text).map_err(|source| Error::Configuration {
            path: path.to_owned(),
            source,
        })
    }

    /// Where the socket is.
    pub fn socket(&self) -> PathBuf {
        self.run_directory.join(SOCKET_FILE)
    }
}
