//! The words of the store: revisions, keys with values, transactions and events.

use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;

/// A point in the store's history. Zero is before everything; it also means "absent" in a [`Compare`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A live key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The revision that created the key (since it was last absent).
    pub create_revision: Revision,
    /// The revision of the last write.
    pub mod_revision: Revision,
}

/// A read of several keys.
#[derive(Clone, Debug, Default)]
pub struct RangeQuery {
    /// First key, inclusive.
    pub start: Bytes,
    /// First key that is no longer part, exclusive; empty is no end.
    pub end: Bytes,
    /// The revision to read at; `None` is the newest.
    pub revision: Option<Revision>,
    /// At most so many pairs; zero is no limit.
    pub limit: usize,
}

impl RangeQuery {
    /// All keys that start with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start: Bytes = prefix.into();
        let end = prefix_end(&start);
        Self {
            start,
            end,
            ..Self::default()
        }
    }
}

/// The first key after all keys that start with `prefix`; empty (no end) if there is none.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

/// What a range read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeResult {
    /// The pairs, in key order.
    pub items: Vec<KeyValue>,
    /// The revision that was read.
    pub revision: Revision,
    /// How many keys of the range follow the last item (nonzero only when a limit cut it).
    pub remaining: u64,
}

/// A condition of a transaction: the key's mod-revision is this; [`Revision`] zero means absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// The mod-revision it must have.
    pub mod_revision: Revision,
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create or replace.
    Put {
        /// The key.
        key: Bytes,
        /// The value. It carries no revision: readers take that from the pair.
        value: Bytes,
    },
    /// Remove; removing an absent key writes nothing and takes no revision.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// Compares and operations that happen as one. A key may be written once per transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// All must hold.
    pub compares: Vec<Compare>,
    /// Performed in this order.
    pub operations: Vec<Operation>,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// Durable. One revision per operation, in order.
    Committed {
        /// The operations' revisions; zero for a deletion that found nothing to delete.
        revisions: Vec<Revision>,
    },
    /// Nothing was written: this compare did not hold.
    Failed {
        /// Index of the first compare that did not hold.
        compare: usize,
        /// What the key holds instead.
        actual: Option<KeyValue>,
    },
}

/// One change, as a watcher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The change's own revision.
    pub revision: Revision,
    /// The key that changed.
    pub key: Bytes,
    /// The new value; `None` when the key was deleted.
    pub value: Option<Bytes>,
    /// When the key was created; for a deletion, when what was deleted had been created.
    pub create_revision: Revision,
    /// The value before this change, if there was one.
    pub previous: Option<KeyValue>,
}

/// The events of one or more whole transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// In revision order; may be empty when nothing under the prefix changed (progress only).
    pub events: Vec<Event>,
    /// The watcher has now seen everything up to here.
    pub revision: Revision,
}

/// Batches for ever, or an error that ends the stream.
pub type WatchStream = BoxStream<'static, Result<EventBatch, StoreError>>;

/// Why the store could not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The asked revision's history is gone; list again.
    #[error("revision {requested} was compacted; the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        requested: Revision,
        /// The oldest revision that can still be read.
        oldest: Revision,
    },
    /// The asked revision has not happened.
    #[error("revision {requested} is newer than the store's {current}")]
    Future {
        /// What was asked for.
        requested: Revision,
        /// The store's newest.
        current: Revision,
    },
    /// The disk or the file format failed.
    #[error("store in {path}: {reason}")]
    Io {
        /// The file or directory.
        path: String,
        /// What failed, and what to check.
        reason: String,
    },
    /// Another process has the file.
    #[error(
        "store in {path} is in use by another process; stop that server or choose another data directory"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// The store was closed while the call waited.
    #[error("the store is closed")]
    Closed,
    /// A transaction that cannot be performed as written, such as one that writes a key twice.
    #[error("invalid transaction: {0}")]
    Invalid(String),
}
