//! Events go after a while (`--event-ttl`): they tell what happened lately.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::{Compare, Operation, Transaction};

use crate::api_state::Api;
use crate::keys;

/// How often they are looked through.
const EVERY: Duration = Duration::from_secs(60);

/// Deletions in one transaction.
const BATCH: usize = 100;

/// Removes expired events until the server ends.
pub(crate) async fn run(api: Arc<Api>) {
    loop {
        tokio::time::sleep(EVERY).await;
        sweep(&api, Timestamp::now()).await;
    }
}

async fn sweep(api: &Api, now: Timestamp) {
    let cache = api.registry.kind("", "events");
    let ttl = SignedDuration::try_from(api.config.event_ttl).unwrap_or(SignedDuration::MAX);
    let objects = cache.list("").objects;
    let old = objects.iter().filter(|event| {
        last_seen(&event.value()).is_none_or(|seen| now.duration_since(seen) > ttl)
    });
    let old: Vec<_> = old.collect();
    for batch in old.chunks(BATCH) {
        let mut transaction = Transaction::default();
        for event in batch {
            let key = keys::object(cache.resource(), event.namespace(), event.name());
            let compare = Compare {
                key: key.clone(),
                mod_revision: event.revision(),
            };
            transaction.compares.push(compare);
            transaction.operations.push(Operation::Delete { key });
        }
        if let Err(error) = api.registry.store().transact(transaction).await {
            tracing::warn!(%error, "expired events cannot be removed");
            return;
        }
    }
}

/// The newest time that the event tells.
fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    times
        .iter()
        .filter_map(|time| time.as_str()?.parse().ok())
        .max()
}
