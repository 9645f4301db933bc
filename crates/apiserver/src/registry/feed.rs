//! Fills the caches from the store: once by reading it, then by following it.

use std::time::Duration;

use futures::StreamExt;
use store::{EventBatch, RangeQuery, Revision, StoreError};

use super::{Cache, Registry, Stored};
use crate::keys;

/// Keys read at once while loading.
const PAGE: usize = 500;

/// Pause before a failed watch of the store is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Reads every object at one revision.
pub(super) async fn load(registry: &Registry) -> Result<(), StoreError> {
    let revision = registry.store.revision().await?;
    for cache in &registry.caches {
        cache.reset(revision);
        load_kind(registry, cache, revision).await?;
    }
    registry.applied.send_replace(revision);
    Ok(())
}

async fn load_kind(registry: &Registry, cache: &Cache, at: Revision) -> Result<(), StoreError> {
    let mut query = RangeQuery::prefix(cache.prefix().to_owned());
    query.revision = (at > Revision::default()).then_some(at);
    query.limit = PAGE;
    loop {
        let page = registry.store.range(query.clone()).await?;
        for pair in &page.items {
            let key = &String::from_utf8_lossy(&pair.key[cache.prefix().len()..]);
            cache.insert(Stored::new(
                cache.resource(),
                key,
                &pair.value,
                pair.mod_revision,
            ));
        }
        let Some(last) = page.items.last().filter(|_| page.remaining > 0) else {
            return Ok(());
        };
        query.start = [&last.key[..], &[0]].concat().into();
    }
}

/// Applies every commit until the store is closed. When the store has lost what was missed, everything is
/// read again and running watches are told to list again.
pub(super) async fn follow(registry: &Registry) {
    loop {
        match follow_once(registry).await {
            Err(StoreError::Closed) => return,
            Err(StoreError::Compacted { .. }) => {
                tracing::warn!("the store forgot changes that were not seen yet: reading it again");
                if let Err(error) = load(registry).await {
                    tracing::error!(%error, "cannot read the store");
                }
            }
            Err(error) => tracing::error!(%error, "the watch of the store failed: trying again"),
            Ok(()) => tracing::warn!("the watch of the store ended: starting another"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_once(registry: &Registry) -> Result<(), StoreError> {
    let after = registry.applied();
    let mut stream = registry.store.watch(keys::ROOT.into(), after).await?;
    while let Some(batch) = stream.next().await {
        apply(registry, &batch?);
    }
    Ok(())
}

fn apply(registry: &Registry, batch: &EventBatch) {
    for cache in &registry.caches {
        let is_ours = |event: &&store::Event| event.key.starts_with(cache.prefix().as_bytes());
        let mut events = batch.events.iter().filter(is_ours).peekable();
        if events.peek().is_some() {
            cache.apply(events);
        }
    }
    registry.applied.send_if_modified(|applied| {
        let further = batch.revision > *applied;
        *applied = batch.revision.max(*applied);
        further
    });
}
