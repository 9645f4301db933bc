//! What a running cluster writes down about itself: the launcher, the settings, each role's process.
//! Written whole or not at all, by rename, because others read it at any time.

use std::path::{Path, PathBuf};

use kernel::process::start_time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::options::Settings;

/// A process that cannot be confused with a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    start_time: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_time: start_time(pid)?,
        })
    }

    /// One that ended before it could be looked at: it does not run.
    pub(crate) fn ended(pid: u32) -> Self {
        Self { pid, start_time: 0 }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> bool {
        start_time(self.pid) == Some(self.start_time)
    }
}

/// The cluster as a whole, in the run directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) data_dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) launcher: Option<ProcessId>,
    /// Whether every role was ready at this launcher's start.
    pub(crate) ready: bool,
}

impl State {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        read(path)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        write(path, self)
    }
}

/// A role's process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) process: ProcessId,
    /// How often it was started again.
    pub(crate) restarts: u32,
}

impl Record {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        read(path)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        write(path, self)
    }
}

/// A file that is missing, or not of ours, says nothing.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    serde_json::to_vec(value)
        .map_err(std::io::Error::from)
        .and_then(|bytes| std::fs::write(&fresh, bytes))
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(Error::file("write", path))
}
