//! The hook for kinds whose writes need more keys in the same transaction, such as a Service's addresses.
//!
//! The pipeline calls [`Reserve::reserve`] after defaulting and before preparing and validating
//! (`pkg/registry/core/service/storage` does its allocation in `beginCreate` and `beginUpdate`, there too), with the
//! object to be filled in. What comes back joins the object's own transaction. The [`Hold`] lives until
//! that is decided: it is committed after the transaction is durable, and dropped, which must release
//! everything it took in memory, when anything failed on the way.

use api::resource::{Part, Resource};
use api::status::Status;
use futures::future::BoxFuture;
use serde_json::Value;
use store::{Compare, KeyValue, Operation};

/// What is about to be written.
pub struct WriteContext<'a> {
    /// The kind.
    pub resource: &'static Resource,
    /// The object itself or a subresource.
    pub part: Part,
    /// What is stored now; `None` when the object is created.
    pub old: Option<&'a Value>,
    /// What shall be stored, to be filled in; `None` when the object is about to be removed for good.
    pub new: Option<&'a mut Value>,
    /// Nothing will be stored.
    pub dry_run: bool,
    /// Counts the rounds of this request, from zero; a lost race begins another.
    pub attempt: u32,
}

/// Further conditions and writes of an object's transaction.
#[derive(Default)]
pub struct Reservation {
    /// Must hold, besides that the object is unchanged.
    pub compares: Vec<Compare>,
    /// Performed before the object's own write, in this order.
    pub before: Vec<Operation>,
    /// Performed after it.
    pub after: Vec<Operation>,
    /// What is held in memory until the transaction is decided.
    pub hold: Option<Box<dyn Hold>>,
}

/// Reserved in memory. **Dropping it without [`Hold::commit`] releases everything.**
pub trait Hold: Send {
    /// The transaction is durable: make what was taken permanent, and release what was given back.
    fn commit(self: Box<Self>);

    /// Compare number `compare` of the reservation did not hold: somebody else was faster.
    fn lost(&self, compare: usize, actual: Option<&KeyValue>) -> Lost;
}

/// What a lost race means.
pub enum Lost {
    /// Another choice may succeed: the write starts again from reading the object.
    Retry,
    /// The user asked for exactly this.
    Fail(Status),
}

/// Implemented per kind, in a file of its own, and listed where the server is put together.
pub trait Reserve: Send + Sync {
    /// Fills in what `write.new` leaves to the server and says what else must be stored with it.
    ///
    /// # Errors
    /// What the user is told; nothing is held then.
    fn reserve<'a>(&'a self, write: WriteContext<'a>)
    -> BoxFuture<'a, Result<Reservation, Status>>;
}

/// A kind, by group and plural name, and its hook.
pub type Hook = (&'static str, &'static str, std::sync::Arc<dyn Reserve>);
