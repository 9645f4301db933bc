//! Why a cluster did not start, was not found or did not end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use kernel::cgroup::CgroupError;
use kernel::namespace::NamespaceError;
use kernel::netlink::NetlinkError;
use kernel::sysctl::SysctlError;

/// Why a cluster did not start, was not found or did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be.
    #[error("these options do not fit together:\n  {}", .0.join("\n  "))]
    Options(Vec<String>),
    /// The host cannot take the cluster.
    #[error("this machine is not ready for a cluster:\n  {}", .0.join("\n  "))]
    Host(Vec<String>),
    /// A launcher already runs for this data directory.
    #[error(
        "the cluster of {0} runs already (see it with: fairway status; end it with: fairway down)"
    )]
    Running(PathBuf),
    /// The cluster that runs is not the one asked for.
    #[error(
        "the cluster of {data_dir} runs with other options ({}); end it first with: fairway down --keep-data",
        .options.join(", ")
    )]
    OtherOptions {
        /// Whose cluster.
        data_dir: PathBuf,
        /// The options that differ.
        options: Vec<String>,
    },
    /// There is nothing to talk to.
    #[error("no cluster runs here (start one with: fairway up)")]
    NoCluster,
    /// The command must be told which one.
    #[error("several clusters run; name one with --data-dir: {}", .0.join(", "))]
    SeveralClusters(Vec<String>),
    /// The cluster has no such part.
    #[error("the cluster has no {name}; it has {}", .known.join(", "))]
    NoMember {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The API server's port is not free.
    #[error(
        "{address} is taken: {source} (another API server? choose another address with --listen)"
    )]
    Listen {
        /// Where the API server was to listen.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of ours cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// Such as "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A role ends again and again.
    #[error("{role} does not start; the end of its log, {log}:\n{tail}")]
    Role {
        /// Its name.
        role: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A role runs but is not ready in time.
    #[error("{} not ready after {seconds} s; see {logs}", .roles.join(", "))]
    NotReady {
        /// Their names.
        roles: Vec<String>,
        /// How long they had.
        seconds: u64,
        /// Where their logs are.
        logs: PathBuf,
    },
    /// Parts of the cluster are still there.
    #[error("the cluster could not be removed whole:\n  {}", .0.join("\n  "))]
    LeftOver(Vec<String>),
    /// A namespace could not be handled.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A link, address or route could not be set.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A kernel setting could not be written.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// A cgroup could not be handled.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

impl Error {
    /// Wraps what a file operation said.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
