//! A watch is a cursor: it pulls from memory what is recent, from disk what is older, at its own pace.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;

use super::snapshot::Snapshot;
use super::state::{Published, State};
use crate::{EventBatch, Revision, StoreError, WatchStream};

/// A batch looks at about so many events, whatever the prefix lets through.
const BATCH_EVENTS: usize = 1024;

/// A stream of everything under `prefix` after `after`.
pub(super) fn start(
    state: &Arc<State>,
    prefix: Bytes,
    after: Revision,
) -> Result<WatchStream, StoreError> {
    let published = state.subscribe();
    state.snapshot()?.check(after)?;
    let cursor = Cursor {
        state: state.clone(),
        published,
        prefix,
        position: after,
    };
    Ok(stream::try_unfold(cursor, next).boxed())
}

struct Cursor {
    state: Arc<State>,
    published: watch::Receiver<Published>,
    prefix: Bytes,
    /// Everything up to here was delivered.
    position: Revision,
}

async fn next(mut cursor: Cursor) -> Result<Option<(EventBatch, Cursor)>, StoreError> {
    let snapshot = cursor.wait().await?;
    let batch = match cursor.recent_batch(&snapshot) {
        Some(batch) => batch,
        None => cursor.older_batch(snapshot).await?,
    };
    cursor.position = batch.revision;
    Ok(Some((batch, cursor)))
}

impl Cursor {
    /// The first snapshot that has more than was delivered.
    async fn wait(&mut self) -> Result<Arc<Snapshot>, StoreError> {
        let position = self.position;
        let newer = |published: &Published| match published {
            Some(snapshot) => snapshot.revision() > position,
            None => true,
        };
        let found = self.published.wait_for(newer).await;
        let snapshot = found.map_err(|_| StoreError::Closed)?.clone();
        snapshot.ok_or(StoreError::Closed)
    }

    fn recent_batch(&self, snapshot: &Snapshot) -> Option<EventBatch> {
        let recent = self.state.recent();
        let commits = recent.after(self.position, snapshot.revision(), BATCH_EVENTS)?;
        drop(recent);
        let revision = commits.last()?.revision;
        let events = commits.iter().flat_map(|commit| &commit.events);
        let wanted = events
            .filter(|event| event.revision > self.position && event.key.starts_with(&self.prefix));
        Some(EventBatch {
            events: wanted.cloned().collect(),
            revision,
        })
    }

    async fn older_batch(&self, snapshot: Arc<Snapshot>) -> Result<EventBatch, StoreError> {
        let (prefix, after) = (self.prefix.clone(), self.position);
        let read = tokio::task::spawn_blocking(move || snapshot.history(&prefix, after));
        self.state.joined(read.await)
    }
}
