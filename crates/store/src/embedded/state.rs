//! What the writer publishes and everybody else reads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinError;

use super::disk::Problem;
use super::recent::{Commit, Recent};
use super::snapshot::Snapshot;
use crate::StoreError;

/// The newest snapshot, or `None` after the store was closed.
pub(super) type Published = Option<Arc<Snapshot>>;

/// Shared by the handle, the watchers and the writer; only the writer changes it.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    published: watch::Sender<Published>,
    recent: Mutex<Recent>,
}

impl State {
    pub(super) fn new(path: &Path, snapshot: Snapshot) -> Self {
        Self {
            path: path.to_owned(),
            recent: Mutex::new(Recent::new(snapshot.revision())),
            published: watch::Sender::new(Some(Arc::new(snapshot))),
        }
    }

    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        self.published.borrow().clone().ok_or(StoreError::Closed)
    }

    /// To wait for newer snapshots.
    pub(super) fn subscribe(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a durable commit visible, its events with it.
    pub(super) fn publish(&self, snapshot: Snapshot, commit: Commit) {
        if !commit.events.is_empty() {
            self.recent().push(commit);
        }
        self.published.send_replace(Some(Arc::new(snapshot)));
    }

    /// Nothing more will come: ends every watch and read.
    pub(super) fn close(&self) {
        self.published.send_replace(None);
    }

    pub(super) fn error(&self, problem: Problem) -> StoreError {
        problem.tell(&self.path)
    }

    /// The result of a read on a blocking thread.
    pub(super) fn joined<T>(
        &self,
        read: Result<Result<T, Problem>, JoinError>,
    ) -> Result<T, StoreError> {
        match read {
            Ok(result) => result.map_err(|problem| self.error(problem)),
            Err(_) => Err(StoreError::Closed),
        }
    }
}
