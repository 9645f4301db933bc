//! The embedded store: one redb file, one writer thread, and readers that never wait for it.
//!
//! Everything a caller can see comes from a [`Snapshot`](snapshot::Snapshot), which the writer publishes
//! after the commit it shows is on disk. Watchers are cursors that pull, so none can hold anybody up.

mod compaction;
mod disk;
mod group;
mod recent;
mod snapshot;
mod state;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::{
    KeyValue, RangeQuery, RangeResult, Revision, Store, StoreError, Transaction,
    TransactionOutcome, WatchStream,
};
use disk::Disk;
use state::State;
use writer::{Job, Writer};

/// How many calls may wait for the writer; further ones wait for a place in the queue.
const QUEUE: usize = 1024;

/// What the operator can choose about the embedded store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// History older than so many revisions is compacted by itself; zero leaves it to [`Store::compact`].
    pub keep_revisions: u64,
    /// Memory for the pages of the file.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_revisions: 20_000,
            cache_bytes: 64 << 20,
        }
    }
}

/// A store in one file of this machine.
#[derive(Debug)]
pub struct Embedded {
    state: Arc<State>,
    jobs: mpsc::Sender<Job>,
}

impl Embedded {
    /// Opens the store in `path`, creating the file when there is none. Blocks: after a crash the file
    /// is checked.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open, [`StoreError::Io`] when it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default())
    }

    /// As [`Embedded::open`], with the operator's choices.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::start(Disk::open(path.as_ref(), options.cache_bytes)?, options)
    }

    /// A store on storage of the caller's own making, for tests of what storage does wrong.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    #[cfg(feature = "conformance")]
    pub fn open_on(
        backend: impl redb::StorageBackend,
        options: Options,
    ) -> Result<Self, StoreError> {
        let mut builder = redb::Builder::new();
        let created = builder
            .set_cache_size(options.cache_bytes)
            .create_with_backend(backend);
        Self::start(Disk::with(Path::new("memory"), created)?, options)
    }

    fn start(disk: Disk, options: Options) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let state = Writer::start(disk, options, queue)?;
        Ok(Self { state, jobs })
    }

    /// Finishes the writes that are queued, ends every watch and lets go of the file.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.jobs.send(Job::Close { reply }).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn submit<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(job(reply)).await;
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Store for Embedded {
    fn revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        async { Ok(self.state.snapshot()?.revision()) }.boxed()
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<KeyValue>, StoreError>> {
        async move {
            let snapshot = self.state.snapshot()?;
            snapshot.get(&key).map_err(|error| self.state.error(error))
        }
        .boxed()
    }

    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<RangeResult, StoreError>> {
        async move {
            let snapshot = self.state.snapshot()?;
            let read = tokio::task::spawn_blocking(move || snapshot.range(&query));
            self.state.joined(read.await)
        }
        .boxed()
    }

    fn transact(
        &self,
        transaction: Transaction,
    ) -> BoxFuture<'_, Result<TransactionOutcome, StoreError>> {
        async move {
            group::check(&transaction)?;
            self.submit(|reply| Job::Transact { transaction, reply })
                .await
        }
        .boxed()
    }

    fn watch(
        &self,
        prefix: Bytes,
        after: Revision,
    ) -> BoxFuture<'_, Result<WatchStream, StoreError>> {
        async move { watch::start(&self.state, prefix, after) }.boxed()
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.submit(|reply| Job::Compact { revision, reply }).await }.boxed()
    }
}
