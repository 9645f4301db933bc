//! Elements of maps and sets, to and from netlink (`include/uapi/linux/netfilter/nf_tables.h`).

use crate::netfilter::{Attributes, Writer};
use std::borrow::Cow;

/// `NFTA_SET_ELEM_LIST_TABLE`.
pub(super) const LIST_TABLE: u16 = 1;
/// `NFTA_SET_ELEM_LIST_SET`.
pub(super) const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_KEY_END: u16 = 10;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
/// `NF_DROP`, `NF_ACCEPT`, `NFT_GOTO`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const GOTO: u32 = -4_i32 as u32;

/// One element, as the bytes that rules load into registers: every part of a concatenation is
/// padded to four bytes; addresses, protocols and ports are in network order, marks and the
/// results of `numgen` in the machine's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// The key, or where an interval starts.
    pub key: Vec<u8>,
    /// Where an interval of a concatenation ends, itself included.
    pub key_end: Option<Vec<u8>>,
    /// What the key leads to.
    pub data: Data,
}

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Data {
    /// Nothing: an element of a set.
    None,
    /// A value.
    Value(Vec<u8>),
    /// On to a chain, which must be there.
    Goto(Cow<'static, str>),
    /// The packet passes.
    Accept,
    /// The packet vanishes.
    Drop,
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Adds an element. The kernel takes an equal one without complaint, and refuses one with the
    /// same key and other data.
    Add {
        /// The map or set.
        set: Cow<'static, str>,
        /// The element.
        element: Element,
    },
    /// Deletes an element, which must be there.
    Delete {
        /// The map or set.
        set: Cow<'static, str>,
        /// The element; its data does not matter.
        element: Element,
    },
}

impl Operation {
    /// The map or set.
    pub fn set(&self) -> &str {
        match self {
            Operation::Add { set, .. } | Operation::Delete { set, .. } => set,
        }
    }

    /// `add` or `delete`.
    pub fn verb(&self) -> &'static str {
        match self {
            Operation::Add { .. } => "add",
            Operation::Delete { .. } => "delete",
        }
    }

    fn element(&self) -> &Element {
        match self {
            Operation::Add { element, .. } | Operation::Delete { element, .. } => element,
        }
    }

    /// No less than what it takes in a message.
    fn size(&self) -> usize {
        let Element { key, key_end, data } = self.element();
        let data = match data {
            Data::None => 0,
            Data::Value(value) => value.len(),
            Data::Goto(chain) => chain.len() + 1,
            Data::Accept | Data::Drop => 0,
        };
        64 + key.len() + key_end.as_ref().map_or(0, Vec::len) + data
    }
}

/// How many operations from the front can be one message: the same verb, the same set, and no
/// more bytes than this.
pub(super) fn run(operations: &[Operation], bytes: usize) -> usize {
    let (verb, set) = (operations[0].verb(), operations[0].set());
    let mut size = 0;
    let fits = operations.iter().take_while(|operation| {
        size += operation.size();
        operation.verb() == verb && operation.set() == set && size <= bytes
    });
    fits.count().max(1)
}

/// Writes the attributes of a message that adds or deletes these.
pub(super) fn write_list(out: &mut Writer<'_>, table: &str, run: &[Operation]) {
    out.text(LIST_TABLE, table);
    out.text(LIST_SET, run[0].set());
    out.nested(LIST_ELEMENTS, |list| {
        for operation in run {
            let with_data = matches!(operation, Operation::Add { .. });
            list.nested(LIST_ELEMENT, |out| {
                write(out, operation.element(), with_data);
            });
        }
    });
}

fn write(out: &mut Writer<'_>, element: &Element, with_data: bool) {
    out.nested(ELEMENT_KEY, |key| key.bytes(DATA_VALUE, &element.key));
    if let Some(end) = &element.key_end {
        out.nested(ELEMENT_KEY_END, |key| key.bytes(DATA_VALUE, end));
    }
    if !with_data || element.data == Data::None {
        return;
    }
    out.nested(ELEMENT_DATA, |data| match &element.data {
        Data::None => (),
        Data::Value(value) => data.bytes(DATA_VALUE, value),
        Data::Accept => data.nested(DATA_VERDICT, |v| v.number(VERDICT_CODE, ACCEPT)),
        Data::Drop => data.nested(DATA_VERDICT, |v| v.number(VERDICT_CODE, DROP)),
        Data::Goto(chain) => data.nested(DATA_VERDICT, |verdict| {
            verdict.number(VERDICT_CODE, GOTO);
            verdict.text(VERDICT_CHAIN, chain);
        }),
    });
}

/// The elements in one message of a dump.
pub(super) fn read_list(body: &[u8]) -> Vec<Element> {
    let Some(list) = Attributes::new(body).inside(LIST_ELEMENTS) else {
        return Vec::new();
    };
    list.filter_map(|(_, element)| read(Attributes::new(element)))
        .collect()
}

fn read(element: Attributes<'_>) -> Option<Element> {
    let value = |kind| element.inside(kind).and_then(|data| data.get(DATA_VALUE));
    let data = match element.inside(ELEMENT_DATA) {
        None => Data::None,
        Some(data) => match data.inside(DATA_VERDICT) {
            None => Data::Value(data.get(DATA_VALUE)?.to_vec()),
            Some(verdict) => read_verdict(verdict)?,
        },
    };
    Some(Element {
        key: value(ELEMENT_KEY)?.to_vec(),
        key_end: value(ELEMENT_KEY_END).map(<[u8]>::to_vec),
        data,
    })
}

fn read_verdict(verdict: Attributes<'_>) -> Option<Data> {
    match verdict.number(VERDICT_CODE)? {
        DROP => Some(Data::Drop),
        ACCEPT => Some(Data::Accept),
        GOTO => Some(Data::Goto(verdict.text(VERDICT_CHAIN)?.to_owned().into())),
        _ => None,
    }
}
