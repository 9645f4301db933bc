//! What can go wrong in a supervisor.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a supervisor could not start or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or directory refused.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The configuration is not what this version understands.
    #[error("{path} is no supervisor configuration: {source}")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A system call refused.
    #[error("cannot {action}: {source}{}", privilege_hint(*source))]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: nix::Error,
    },
}

/// Names the missing right where that is the usual reason.
fn privilege_hint(error: nix::Error) -> &'static str {
    match error {
        nix::Error::EPERM => " (pods need root, or a user namespace with its rights)",
        _ => "",
    }
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

/// Adds the action to a system call's error.
pub(crate) trait SystemContext<T> {
    fn doing(self, action: &'static str) -> Result<T, Error>;
}

impl<T> SystemContext<T> for nix::Result<T> {
    fn doing(self, action: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::System { action, source })
    }
}
