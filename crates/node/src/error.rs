//! What can go wrong on a node.

use std::io;
use std::path::{Path, PathBuf};

use kernel::namespace::NamespaceError;
use kernel::netlink::NetlinkError;
use thiserror::Error as ThisError;

/// Why a node, or something it does for a pod, failed.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A file or directory refused.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The API server refused, or is away.
    #[error("the API server did not take {action}: {source}")]
    Api {
        /// What was asked.
        action: &'static str,
        /// Its answer.
        source: Box<kube::Error>,
    },
    /// A link, address or route.
    #[error(transparent)]
    Network(#[from] NetlinkError),
    /// A pod's namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The masquerading table.
    #[error("cannot set the table of pods' masquerading: {0}")]
    Masquerade(#[from] kernel::nft::Error),
    /// No address left, or no range yet.
    #[error("{0}")]
    Addresses(&'static str),
    /// A supervisor could not be started.
    #[error("the pod's supervisor did not start: {0}")]
    Launch(String),
    /// A supervisor does not answer any more.
    #[error("the pod's supervisor does not answer on {}: {message}", path.display())]
    Supervisor {
        /// Its socket.
        path: PathBuf,
        /// What happened.
        message: String,
    },
    /// A supervisor refused.
    #[error("{0}")]
    Refused(String),
    /// The server's certificate.
    #[error("cannot prepare the TLS of kubelet's port: {0}")]
    Tls(String),
    /// The server's port.
    #[error(
        "cannot listen on port {port} for logs and exec: {source} (does another agent run in this network namespace?)"
    )]
    Listen {
        /// The port.
        port: u16,
        /// The system's answer.
        source: io::Error,
    },
    /// An archive or an image in the store.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
}

/// Adds the action and the path to an I/O error.
pub(crate) trait IoContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

/// Adds the action to the API server's refusal.
pub(crate) trait ApiContext<T> {
    fn asking(self, action: &'static str) -> Result<T, Error>;
}

impl<T> ApiContext<T> for kube::Result<T> {
    fn asking(self, action: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Api {
            action,
            source: Box::new(source),
        })
    }
}
