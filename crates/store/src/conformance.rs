//! What every [`Store`] has to do, asked through the trait alone, so that each implementation runs the same.
//!
//! The checks share nothing but the store: each keeps to a prefix of its own and takes revisions from
//! outcomes, so that one etcd can serve them all.

mod compaction;
mod history;
mod reads;
mod transactions;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;

use crate::{
    Compare, Event, EventBatch, KeyValue, Operation, Revision, Store, StoreError, Transaction,
    TransactionOutcome, WatchStream,
};

/// No answer takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every check, each on a store that `make_store` hands out: a fresh one or always the same.
///
/// # Panics
/// When the store does not conform; the message names the check.
pub async fn run(make_store: impl AsyncFn() -> Arc<dyn Store>) {
    macro_rules! check {
        ($($module:ident :: $name:ident),* $(,)?) => {$(
            let name = concat!(stringify!($module), "::", stringify!($name));
            let subject = Subject::new(make_store().await, name);
            let done = tokio::time::timeout(3 * PATIENCE, $module::$name(&subject)).await;
            assert!(done.is_ok(), "{name} does not end");
        )*};
    }
    check!(
        transactions::put_creates_and_replaces,
        transactions::delete_removes_and_a_later_put_creates_anew,
        transactions::deleting_nothing_writes_nothing,
        transactions::operations_happen_together,
        transactions::failed_compare_writes_nothing_and_tells_what_is_there,
        transactions::compare_with_zero_means_absent,
        transactions::key_written_twice_is_invalid,
        transactions::empty_transaction_commits,
        transactions::racing_compares_let_one_win,
        reads::range_is_ordered_and_ends_before_its_end,
        reads::limit_cuts_and_counts_the_rest,
        reads::range_at_a_revision_sees_the_past,
        reads::pages_at_one_revision_make_the_whole,
        reads::future_revisions_are_refused,
        reads::any_bytes_are_keys_and_values,
        watches::list_then_watch_leaves_no_gap,
        watches::events_carry_what_was_before,
        watches::transaction_arrives_in_one_batch,
        watches::other_prefixes_are_not_told_but_make_progress,
        watches::start_inside_a_transaction_skips_only_what_was_seen,
        watches::watchers_of_concurrent_writes_agree,
        history::watch_from_the_past_replays_every_change,
        history::slow_watcher_misses_nothing_and_holds_nobody_up,
        compaction::late_reads_and_watches_are_told,
        compaction::live_values_survive,
        compaction::later_changes_still_know_what_they_replaced,
        compaction::compacting_the_future_is_refused,
    );
}

/// A store with a prefix that belongs to one check.
pub(crate) struct Subject {
    store: Arc<dyn Store>,
    prefix: String,
}

impl Subject {
    fn new(store: Arc<dyn Store>, name: &str) -> Self {
        Self {
            store,
            prefix: format!("/conformance/{name}/"),
        }
    }

    fn key(&self, name: &str) -> Bytes {
        format!("{}{name}", self.prefix).into()
    }

    fn put(&self, name: &str, value: impl Into<Bytes>) -> Operation {
        Operation::Put {
            key: self.key(name),
            value: value.into(),
        }
    }

    fn delete(&self, name: &str) -> Operation {
        Operation::Delete {
            key: self.key(name),
        }
    }

    /// Commits without compares; the revision of each operation.
    async fn commit(&self, operations: impl Into<Vec<Operation>>) -> Vec<Revision> {
        let transaction = Transaction {
            compares: Vec::new(),
            operations: operations.into(),
        };
        match self.store.transact(transaction).await {
            Ok(TransactionOutcome::Committed { revisions }) => revisions,
            other => panic!("{}: not committed: {other:?}", self.prefix),
        }
    }

    /// Puts one pair; its revision.
    async fn write(&self, name: &str, value: impl Into<Bytes>) -> Revision {
        self.commit([self.put(name, value)]).await[0]
    }

    /// Deletes one key; the deletion's revision.
    async fn remove(&self, name: &str) -> Revision {
        self.commit([self.delete(name)]).await[0]
    }

    async fn attempt(
        &self,
        compares: &[(&str, Revision)],
        operations: impl Into<Vec<Operation>>,
    ) -> TransactionOutcome {
        let compare = |(name, mod_revision): &(&str, Revision)| Compare {
            key: self.key(name),
            mod_revision: *mod_revision,
        };
        let transaction = Transaction {
            compares: compares.iter().map(compare).collect(),
            operations: operations.into(),
        };
        let outcome = self.store.transact(transaction).await;
        outcome.expect("a transaction has an outcome")
    }

    async fn get(&self, name: &str) -> Option<KeyValue> {
        let found = self.store.get(self.key(name)).await;
        found.expect("a get is answered")
    }

    /// Everything of this check, as `name=value` words.
    async fn list(&self, revision: Option<Revision>) -> String {
        let query = crate::RangeQuery {
            revision,
            ..crate::RangeQuery::prefix(self.prefix.clone())
        };
        let found = self.store.range(query).await.expect("a range is answered");
        self.words(&found.items)
    }

    fn words(&self, items: &[KeyValue]) -> String {
        let word = |pair: &KeyValue| format!("{}={}", self.name(&pair.key), text(&pair.value));
        items.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn name(&self, key: &Bytes) -> String {
        let key = text(key);
        key.strip_prefix(&self.prefix).unwrap_or(&key).to_owned()
    }

    async fn revision(&self) -> Revision {
        let revision = self.store.revision().await;
        revision.expect("a store has a revision")
    }

    async fn watch(&self, after: Revision) -> WatchStream {
        self.watch_prefix(self.prefix.clone(), after).await
    }

    async fn watch_prefix(&self, prefix: impl Into<Bytes>, after: Revision) -> WatchStream {
        let stream = self.store.watch(prefix.into(), after).await;
        stream.expect("a watch starts")
    }

    /// The error of a watch, from the call or as the first item.
    async fn watch_error(&self, after: Revision) -> StoreError {
        match self.store.watch(self.prefix.clone().into(), after).await {
            Err(error) => error,
            Ok(mut stream) => match patiently(stream.next()).await {
                Some(Err(error)) => error,
                other => panic!("{}: no error but {other:?}", self.prefix),
            },
        }
    }

    /// A change as a word: `+` created, `~` replaced, `-` deleted.
    fn word(&self, event: &Event) -> String {
        let name = self.name(&event.key);
        match (&event.value, event.create_revision == event.revision) {
            (Some(value), true) => format!("+{name}={}", text(value)),
            (Some(value), false) => format!("~{name}={}", text(value)),
            (None, _) => format!("-{name}"),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.expect("an answer comes in time")
}

/// Batches until everything up to `until` was seen.
async fn batches_until(stream: &mut WatchStream, until: Revision) -> Vec<EventBatch> {
    let mut batches = Vec::new();
    while batches
        .last()
        .is_none_or(|batch: &EventBatch| batch.revision < until)
    {
        match patiently(stream.next()).await {
            Some(Ok(batch)) => batches.push(batch),
            other => panic!("a watch ended before revision {until}: {other:?}"),
        }
    }
    batches
}

/// The events of [`batches_until`].
async fn events_until(stream: &mut WatchStream, until: Revision) -> Vec<Event> {
    let batches = batches_until(stream, until).await;
    batches.into_iter().flat_map(|batch| batch.events).collect()
}
