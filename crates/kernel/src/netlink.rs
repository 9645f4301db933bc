//! Links, addresses, routes and neighbours of one namespace, over rtnetlink behind our own types:
//! that library changes its own with every release.
//!
//! Setting is idempotent (`set_…` replaces what is there) and so is deleting (absent is fine), so
//! that a caller who starts again after a crash states what it wants without looking first.

mod address;
mod link;
mod neighbour;
mod route;

use std::io;

use crate::NetNs;
use crate::namespace::NamespaceError;

pub use link::{Link, VethEnd};
pub use neighbour::Neighbour;
pub use route::{Route, RouteKind, everything};

/// A link's hardware address.
pub type Mac = [u8; 6];

/// A netlink socket in one namespace. Cheap to clone; must be opened within a tokio runtime, which
/// drives it until the last clone is gone.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
}

/// Why the kernel did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// No socket.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),
    /// The kernel refused.
    #[error("cannot {action}: {source}")]
    Refused {
        /// What was asked, as in "add route 10.0.0.0/8".
        action: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// There was no proper answer.
    #[error("cannot {action}: the netlink socket broke ({reason})")]
    Broken {
        /// What was asked.
        action: String,
        /// What the library said.
        reason: String,
    },
    /// A link that must exist does not.
    #[error("there is no link {0} in this network namespace")]
    NoLink(String),
}

impl NetlinkError {
    /// The kernel's error number, if it was the kernel that refused.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    fn new(action: String, error: &rtnetlink::Error) -> Self {
        match error {
            rtnetlink::Error::NetlinkError(message) => Self::Refused {
                action,
                source: message.to_io(),
            },
            other => Self::Broken {
                action,
                reason: other.to_string(),
            },
        }
    }
}

impl Netlink {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Open`]
    pub fn here() -> Result<Self, NetlinkError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetlinkError::Open)?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Opens a socket inside `namespace`.
    ///
    /// # Errors
    /// [`NetlinkError::Open`], [`NetlinkError::Namespace`]
    pub fn in_namespace(namespace: &NetNs) -> Result<Self, NetlinkError> {
        let runtime = tokio::runtime::Handle::current();
        namespace.run(|| {
            let _inside = runtime.enter();
            Self::here()
        })?
    }
}

/// The outcome of a request that sets something.
fn done(
    action: impl FnOnce() -> String,
    result: Result<(), rtnetlink::Error>,
) -> Result<(), NetlinkError> {
    result.map_err(|error| NetlinkError::new(action(), &error))
}

/// The outcome of a request that deletes something: whether it was there.
fn gone(
    action: impl FnOnce() -> String,
    result: Result<(), rtnetlink::Error>,
) -> Result<bool, NetlinkError> {
    match done(action, result) {
        Ok(()) => Ok(true),
        Err(error) if error.errno().is_some_and(means_absent) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Links are ENODEV, routes ESRCH, addresses EADDRNOTAVAIL, neighbours ENOENT.
fn means_absent(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENOENT
    )
}
