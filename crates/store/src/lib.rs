//! Revisions on disk: what the API server stores, and the history that watches replay.
//!
//! Keys and values are bytes; this crate knows no kinds. [`Store`] is the contract, in three rights as in
//! etcd: read ([`Store::get`], [`Store::range`]), write ([`Store::transact`]) and watch ([`Store::watch`]).
//!
//! **Invariant:** a revision is on disk before anyone can see it; a watcher sees every revision once, in
//! order, or is told to start over ([`StoreError::Compacted`]).

#[cfg(feature = "conformance")]
pub mod conformance;
mod embedded;
mod model;

pub use embedded::{Embedded, Options};
pub use model::{
    Compare, Event, EventBatch, KeyValue, Operation, RangeQuery, RangeResult, Revision, StoreError,
    Transaction, TransactionOutcome, WatchStream, prefix_end,
};

use bytes::Bytes;
use futures::future::BoxFuture;

/// A linearizable, revisioned key-value store.
///
/// Every operation of a committed transaction has a revision. The embedded store gives each its own, in
/// order; etcd gives them one. Callers therefore take revisions from the outcome, never by counting.
pub trait Store: Send + Sync + 'static {
    /// The newest revision that is durable. Cheap in the embedded store: a load from memory.
    fn revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>>;

    /// The live value of `key`, or `None`.
    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<KeyValue>, StoreError>>;

    /// Live keys of a range in byte order, at a revision (default: the newest).
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the revision's history is gone, [`StoreError::Future`] when it has
    /// not happened yet.
    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<RangeResult, StoreError>>;

    /// Checks every compare, then performs every operation, or none.
    ///
    /// Returns after the outcome is durable. A failed compare is an outcome, not an error.
    fn transact(
        &self,
        transaction: Transaction,
    ) -> BoxFuture<'_, Result<TransactionOutcome, StoreError>>;

    /// Every change under `prefix` with a revision greater than `after`, in order, for ever.
    ///
    /// A transaction's events arrive in one [`EventBatch`]. A watcher that falls further behind than the
    /// store keeps history gets [`StoreError::Compacted`] and the stream ends. One that starts before the
    /// oldest kept revision gets it from this call or as the first item, depending on the store.
    fn watch(
        &self,
        prefix: Bytes,
        after: Revision,
    ) -> BoxFuture<'_, Result<WatchStream, StoreError>>;

    /// Forgets history before `revision`: what was live then can still be read there, and watches can
    /// still start after it. Compacting what is compacted already changes nothing.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), StoreError>>;
}
