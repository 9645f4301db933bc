//! The data directory: made, locked while a launcher runs, and emptied of what is ours.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::place::Place;

/// Says that the directory was made by us and goes with its content.
const MADE_HERE: &str = ".made-by-fairway";
/// How often a folder is tried to be made.
const ATTEMPTS: u32 = 10;
/// How often a lock is tried before somebody is taken to have it.
const LOCK_ATTEMPTS: u32 = 20;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// What the roles and the launcher make in the data directory.
const OURS: [&str; 7] = [
    "store.redb",
    "pki",
    "kubeconfig",
    "images",
    "nodes",
    "logs",
    MADE_HERE,
];

/// Makes the data directory and the folders in it.
pub(crate) fn make(place: &Place) -> Result<(), Error> {
    let data_dir = place.data_dir();
    if !data_dir.exists() {
        make_folder(data_dir)?;
        let marker = data_dir.join(MADE_HERE);
        std::fs::write(&marker, "").map_err(Error::file("write", marker))?;
    }
    make_folder(&place.logs())?;
    make_folder(&place.images())
}

/// Makes a folder and those above it. Another cluster that ends may remove an empty one above it
/// meanwhile, so one attempt is not enough.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    let mut made = std::fs::create_dir_all(path);
    for _ in 1..ATTEMPTS {
        match &made {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => break,
        }
        made = std::fs::create_dir_all(path);
    }
    made.map_err(Error::file("make the folder", path))
}

/// The lock that the launcher holds as long as it lives. It is on the directory itself, so that no
/// lock file is left behind.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

impl Lock {
    /// Takes the lock, or tells that a launcher runs. A child that is about to be another program
    /// still holds its launcher's lock for an instant, so one look is not enough.
    pub(crate) async fn take_soon(place: &Place) -> Result<Self, Error> {
        for _ in 0..LOCK_ATTEMPTS {
            if let Some(lock) = Self::take(place)? {
                return Ok(lock);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Running(place.data_dir().to_owned()))
    }

    /// Takes the lock; `None`: another process has it.
    pub(crate) fn take(place: &Place) -> Result<Option<Self>, Error> {
        let failed = |error| Error::file("lock", place.data_dir())(error);
        let folder = File::open(place.data_dir()).map_err(failed)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Self(folder))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// Removes what is ours from the data directory, and the directory if we made it and nothing else
/// is in it. Tells what could not be removed.
pub(crate) fn remove(data_dir: &Path, problems: &mut Vec<String>) {
    let made_here = data_dir.join(MADE_HERE).exists();
    for name in OURS {
        remove_all(&data_dir.join(name), problems);
    }
    if made_here {
        // Somebody else's file keeps the directory: it is not ours to remove.
        std::fs::remove_dir(data_dir).ok();
    }
}

/// Removes a file or folder with all that is in it; absent is fine.
pub(crate) fn remove_all(path: &Path, problems: &mut Vec<String>) {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            problems.push(format!("cannot remove {}: {error}", path.display()));
        }
        _ => {}
    }
}
