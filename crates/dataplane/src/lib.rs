//! The bridge between the pure and the privileged: a [`Dataplane`] brings a finished
//! `forwarding::ForwardingTable` into the kernel. It does not know why a packet goes where it goes.

use forwarding::{Change, ForwardingTable};
use std::collections::BTreeMap;

mod nftables;

pub use nftables::Nftables;

/// What carries out a forwarding table in the kernel.
pub trait Dataplane: Send {
    /// Carries out the changes in their order, in proportion to what they change. After an error
    /// the kernel may lag behind: [`Dataplane::adopt`] is then the way to catch up.
    fn apply(&mut self, changes: &[Change]) -> Result<Applied, Error>;

    /// Reads what the kernel has, from an earlier process or an interrupted change, and changes
    /// only what differs from the table. Packets flow all the while.
    fn adopt(&mut self, table: &ForwardingTable) -> Result<Applied, Error>;

    /// What the kernel has, in its own words.
    fn read_back(&mut self) -> Result<Rendered, Error>;

    /// Takes away everything that Fairway ever put there.
    fn clean_up(&mut self) -> Result<(), Error>;
}

/// What a change cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Elements that were added or deleted.
    pub operations: usize,
    /// Transactions with the kernel.
    pub transactions: usize,
    /// Texts given to `nft`, which cost far more than elements.
    pub texts: usize,
}

/// Kernel state as text: name of the map or set → its keys → what they lead to.
pub type Rendered = BTreeMap<String, BTreeMap<String, String>>;

/// Why the kernel does not have what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// nf_tables refused.
    #[error(transparent)]
    Nft(#[from] kernel::nft::Error),
    /// [`Dataplane::apply`] came first.
    #[error("changes came before the data plane had taken over the kernel's state")]
    NotAdopted,
}
