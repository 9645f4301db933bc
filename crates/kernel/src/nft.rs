//! nf_tables: rules as text through `nft -f -`, and the elements of maps and sets, which are what
//! changes all the time, over netlink in transactions.
//!
//! The `nft` program reads all of a table before it changes one element; netlink does not.

use crate::netfilter::Writer;
use crate::netfilter::{ACK, CREATE, Channel, GENERIC, Header, REQUEST, Reply, message};
use std::io::{self, Write};
use std::process::{Command, Stdio};

mod element;
mod write_lock;

pub use element::{Data, Element, Operation};
pub use write_lock::WriteLock;

/// The family of tables for IPv4 and IPv6 together.
pub const INET: u8 = 1;
/// The family of tables that see a device's packets.
pub const NETDEV: u8 = 5;

const SUBSYSTEM: u16 = 10;
const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
const NEW_SET_ELEMENT: u16 = SUBSYSTEM << 8 | 12;
const GET_SET_ELEMENT: u16 = SUBSYSTEM << 8 | 13;
const DELETE_SET_ELEMENT: u16 = SUBSYSTEM << 8 | 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// A list of elements is one attribute, and those are limited to 64 KiB.
const LIST_BYTES: usize = 48 << 10;
/// A transaction is one datagram. Beyond this it is split: a first load may be (nothing leads to
/// it yet), and an ordinary change is thousands of times smaller.
const TRANSACTION_BYTES: usize = 16 << 20;

/// What can go wrong between us and nf_tables.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("cannot talk to nf_tables ({0}): is this root, and does the kernel have nf_tables?")]
    Socket(#[from] io::Error),
    /// `nft` could not be run.
    #[error("cannot run the nft program ({0}): install the package nftables")]
    Program(#[source] io::Error),
    /// `nft` refused a text.
    #[error("nft refused the rules ({status}): {message}")]
    Text {
        /// How the program ended; 1.0.6 may also crash.
        status: String,
        /// What it said.
        message: String,
    },
    /// The kernel refused a transaction; nothing of it was done.
    #[error("the kernel refused to {operation} an element of {set} in nft table {table}: {source}")]
    Element {
        /// `add` or `delete`.
        operation: &'static str,
        /// The map or set.
        set: String,
        /// The table.
        table: String,
        /// The reason, such as `ENOENT` for a map that is not there.
        source: io::Error,
    },
    /// The kernel refused a transaction as a whole.
    #[error("the kernel refused a change of {operations} elements in nft table {table}: {source}")]
    Transaction {
        /// Its size.
        operations: usize,
        /// The table.
        table: String,
        /// The reason.
        source: io::Error,
    },
}

/// Carries out a text in nft's own language, all of it or nothing. Who also reads the table to decide what to
/// write uses a [`WriteLock`].
pub fn load(text: &str) -> Result<(), Error> {
    run(&mut Command::new("nft"), text)
}

fn run(program: &mut Command, text: &str) -> Result<(), Error> {
    program
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = program.spawn().map_err(Error::Program)?;
    let mut input = child
        .stdin
        .take()
        .expect("the child was given a pipe as its input");
    let written = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().map_err(Error::Program)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Text {
            status: output.status.to_string(),
            message,
        });
    }
    written.map_err(Error::Program)
}

/// The elements of one table, in the network namespace of the thread that opened it.
pub struct Elements {
    channel: Channel,
    family: u8,
    table: String,
}

impl Elements {
    /// Opens a socket for the elements of a table, which need not be there yet.
    pub fn open(family: u8, table: &str) -> Result<Self, Error> {
        Ok(Self {
            channel: Channel::open()?,
            family,
            table: table.to_owned(),
        })
    }

    /// Carries out the operations in their order and gives the number of transactions: one, so that
    /// packets see all or nothing, unless they are more than fit.
    pub fn commit(&mut self, operations: &[Operation]) -> Result<usize, Error> {
        let (mut rest, mut transactions) = (operations, 0);
        while !rest.is_empty() {
            let batch = self.batch(rest);
            let (done, left) = rest.split_at(batch.operations);
            let replies = self.channel.exchange(&batch.bytes)?;
            self.check(&batch, done, &replies)?;
            rest = left;
            transactions += 1;
        }
        Ok(transactions)
    }

    /// Every element of a map or set.
    pub fn dump(&mut self, set: &str) -> Result<Vec<Element>, Error> {
        let table = self.table.clone();
        let replies = self
            .channel
            .dump(GET_SET_ELEMENT, self.family, |attributes| {
                attributes.text(element::LIST_TABLE, &table);
                attributes.text(element::LIST_SET, set);
            })?;
        let lists = replies.iter().filter_map(|reply| reply.body.get(GENERIC..));
        Ok(lists.flat_map(element::read_list).collect())
    }

    /// Whether the table is there.
    pub fn table_exists(&mut self) -> Result<bool, Error> {
        let table = self.table.clone();
        self.exists(GET_TABLE, |attributes| attributes.text(1, &table))
    }

    /// Whether the table has a chain of this name.
    pub fn chain_exists(&mut self, chain: &str) -> Result<bool, Error> {
        let table = self.table.clone();
        self.exists(GET_CHAIN, |attributes| {
            attributes.text(1, &table);
            attributes.text(3, chain);
        })
    }

    fn exists(&mut self, kind: u16, write: impl Fn(&mut Writer<'_>)) -> Result<bool, Error> {
        let sequence = self.channel.next_sequence();
        let mut request = Vec::new();
        let header = Header {
            kind,
            flags: REQUEST,
            sequence,
            family: self.family,
            resource: 0,
        };
        message(&mut request, &header, write);
        let replies = self.channel.exchange(&request)?;
        match replies
            .iter()
            .find(|r| r.sequence == sequence)
            .map(Reply::errno)
        {
            Some(None | Some(0)) => Ok(true),
            Some(Some(libc::ENOENT)) | None => Ok(false),
            Some(Some(errno)) => Err(io::Error::from_raw_os_error(errno).into()),
        }
    }

    /// The longest run of operations that makes one transaction.
    fn batch(&mut self, operations: &[Operation]) -> Batch {
        let mut batch = Batch::default();
        self.edge(&mut batch, BATCH_BEGIN);
        while batch.operations < operations.len() && batch.bytes.len() < TRANSACTION_BYTES {
            let rest = &operations[batch.operations..];
            let run = element::run(rest, LIST_BYTES);
            let last = run == rest.len() || batch.bytes.len() + LIST_BYTES >= TRANSACTION_BYTES;
            self.list(&mut batch, &rest[..run], last);
        }
        self.edge(&mut batch, BATCH_END);
        batch
    }

    /// One message: a run of operations of one kind on one set.
    fn list(&mut self, batch: &mut Batch, run: &[Operation], last: bool) {
        let (kind, create) = match &run[0] {
            Operation::Add { .. } => (NEW_SET_ELEMENT, CREATE),
            Operation::Delete { .. } => (DELETE_SET_ELEMENT, 0),
        };
        let sequence = self.channel.next_sequence();
        let flags = REQUEST | create | if last { ACK } else { 0 };
        batch.messages.push((sequence, batch.operations));
        batch.operations += run.len();
        let header = Header {
            kind,
            flags,
            sequence,
            family: self.family,
            resource: 0,
        };
        let table = &self.table;
        message(&mut batch.bytes, &header, |attributes| {
            element::write_list(attributes, table, run);
        });
    }

    fn edge(&mut self, batch: &mut Batch, kind: u16) {
        let sequence = self.channel.next_sequence();
        let header = Header {
            kind,
            flags: REQUEST,
            sequence,
            family: 0,
            resource: SUBSYSTEM,
        };
        message(&mut batch.bytes, &header, |_| ());
    }

    /// An answer that names a message blames its first element; one that names none, the whole.
    fn check(&self, batch: &Batch, done: &[Operation], replies: &[Reply]) -> Result<(), Error> {
        let failed = replies.iter().find_map(|reply| {
            reply
                .errno()
                .filter(|errno| *errno != 0)
                .map(|errno| (reply.sequence, errno))
        });
        let Some((sequence, errno)) = failed else {
            return Ok(());
        };
        let source = io::Error::from_raw_os_error(errno);
        let table = self.table.clone();
        let blamed = batch.messages.iter().find(|(known, _)| *known == sequence);
        Err(match blamed.map(|(_, index)| &done[*index]) {
            Some(operation) => Error::Element {
                operation: operation.verb(),
                set: operation.set().to_owned(),
                table,
                source,
            },
            None => Error::Transaction {
                operations: done.len(),
                table,
                source,
            },
        })
    }
}

/// One datagram, and which operations are in it.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    operations: usize,
    /// The sequence number of each message, and the index of its first operation.
    messages: Vec<(u32, usize)>,
}
