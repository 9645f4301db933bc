//! The plan in nftables' terms: rules as text, loaded once; what changes as elements of maps, written over
//! netlink.
//!
//! Two tables, one per way of a packet: [`translate`] (family `inet`) and [`hand_over`] (family `netdev`, on
//! the link itself, before the kernel's own stack). In both, a frontend is looked up in `services4` or
//! `services6`, which names its ring; the ring turns a hash into a node's mark; `nodes4` or `nodes6` gives
//! the address.

pub(crate) mod hand_over;
pub(crate) mod translate;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use kernel::nft::{Data, Element};

use crate::model::Frontend;
use crate::plan::{Desired, Mark, Ring, RingKey, Spread};

/// The name of both tables.
pub(crate) const TABLE: &str = "fairway-balancer";

/// Hashes must fall alike in every rule and after every restart, so their seed is fixed.
const SEED: u32 = 1;

/// One table: its rules as text and its contents.
pub(crate) struct Rules {
    /// The table's family, for netlink.
    pub(crate) family: u8,
    /// A chain whose name says which rules these are; a table without it is made anew.
    pub(crate) version: &'static str,
    /// The maps and sets that are always there.
    pub(crate) sets: &'static [&'static str],
    /// The table without elements.
    pub(crate) skeleton: fn(&Site) -> String,
    /// The text that adds a ring: its map, and the chains that look into it.
    pub(crate) add_ring: fn(&str, &Ring) -> String,
    /// The text that removes a ring nobody uses.
    pub(crate) delete_ring: fn(&str) -> String,
    /// What they should hold of the nodes and of all frontends together, and of these addresses among those that
    /// the balancer answers for.
    pub(crate) common: fn(&Desired, &mut dyn Iterator<Item = &IpAddr>) -> Contents,
    /// What they should hold of one frontend with its ring. No two frontends have an element in common.
    pub(crate) put_frontend: fn(&mut Contents, &Frontend, &str),
    /// The rings, and the frontends that use them.
    pub(crate) spread: fn(&Desired) -> &Spread,
}

impl Rules {
    /// All that they should hold.
    pub(crate) fn contents(&self, desired: &Desired) -> Contents {
        let mut contents = (self.common)(desired, &mut desired.addresses.iter());
        for (frontend, ring) in &(self.spread)(desired).frontends {
            (self.put_frontend)(&mut contents, frontend, ring);
        }
        contents
    }

    /// Two parts of what they hold, before and after, that differ in all that differs. What holds for a frontend
    /// as before is in neither, for there may be very many.
    pub(crate) fn difference(&self, before: &Desired, after: &Desired) -> [Contents; 2] {
        let mut gone = before.addresses.difference(&after.addresses);
        let mut come = after.addresses.difference(&before.addresses);
        let mut parts = [
            (self.common)(before, &mut gone),
            (self.common)(after, &mut come),
        ];
        let lists = [before, after].map(|desired| &(self.spread)(desired).frontends[..]);
        for (part, frontend, ring) in differing(lists) {
            (self.put_frontend)(&mut parts[part], frontend, ring);
        }
        parts
    }
}

/// What is in only one of two lists in the model's order: 0 for the first, 1 for the second.
fn differing([before, after]: [&[(Frontend, Arc<str>)]; 2]) -> Vec<(usize, &Frontend, &Arc<str>)> {
    let place = |(f, _): &(Frontend, Arc<str>)| (f.address, f.port, f.protocol);
    let (mut b, mut a) = (0, 0);
    let mut found = Vec::new();
    loop {
        let order = match (before.get(b), after.get(a)) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => place(x).cmp(&place(y)),
        };
        let same = order == Ordering::Equal && before[b] == after[a];
        if order != Ordering::Greater {
            if !same {
                found.push((0, &before[b].0, &before[b].1));
            }
            b += 1;
        }
        if order != Ordering::Less {
            if !same {
                found.push((1, &after[a].0, &after[a].1));
            }
            a += 1;
        }
    }
}

/// What the rules need to know of the place they are in.
pub(crate) struct Site {
    /// The balancer's own addresses: replies to translated connections come back to them.
    pub(crate) own: Vec<IpAddr>,
    /// The link to clients and nodes.
    pub(crate) link: String,
}

/// What each map or set should hold.
pub(crate) type Contents = BTreeMap<String, BTreeMap<Key, Data>>;

/// An element's key, and where it ends if it is an interval.
pub(crate) type Key = (Vec<u8>, Option<Vec<u8>>);

/// An element from its parts.
pub(crate) fn element((key, key_end): &Key, data: &Data) -> Element {
    Element {
        key: key.clone(),
        key_end: key_end.clone(),
        data: data.clone(),
    }
}

/// What of a packet a ring hashes, in nft's words.
fn hashed(ring: &Ring) -> String {
    let ip = if ring.ipv4 { "ip" } else { "ip6" };
    match ring.key {
        RingKey::Connection => format!("{ip} saddr . th sport"),
        RingKey::Client => format!("{ip} saddr"),
        RingKey::Pair => format!("{ip} saddr . {ip} daddr"),
    }
}

/// The addresses of the nodes, by their marks.
fn put_nodes(contents: &mut Contents, desired: &Desired) {
    for (mark, addresses) in &desired.nodes {
        for address in addresses {
            let set = format!("nodes{}", family(*address));
            put(
                contents,
                set,
                plain(mark.to_ne_bytes().to_vec()),
                Data::Value(bytes(*address)),
            );
        }
    }
}

/// The text that makes sure that a ring's map and chains are there and empty: a predecessor may have died
/// before it took them away.
fn emptied(family: &str, name: &str, map: &str, chains: &[String]) -> String {
    let declared = chains
        .iter()
        .map(|chain| format!("  chain {chain} {{ }}\n"));
    let flushed = chains
        .iter()
        .map(|chain| format!("flush chain {family} {TABLE} {chain}\n"));
    format!(
        "table {family} {TABLE} {{\n  map {name} {{ {map} }}\n{}}}\n{}flush map {family} {TABLE} {name}\n",
        declared.collect::<String>(),
        flushed.collect::<String>(),
    )
}

/// A slot of a ring and the node it leads to.
pub(crate) fn slot(slot: u32, mark: Mark) -> Element {
    Element {
        key: slot.to_ne_bytes().to_vec(),
        key_end: None,
        data: Data::Value(mark.to_ne_bytes().to_vec()),
    }
}

/// A frontend's way to its ring.
fn put_service(contents: &mut Contents, frontend: &Frontend, ring: &str) {
    let set = format!("services{}", family(frontend.address));
    put(
        contents,
        set,
        plain(frontend_key(frontend)),
        Data::Goto(Cow::Owned(ring.to_owned())),
    );
}

fn put(contents: &mut Contents, set: String, key: Key, data: Data) {
    contents.entry(set).or_default().insert(key, data);
}

/// Every set that is always there, empty.
fn empty(sets: &[&str]) -> Contents {
    sets.iter()
        .map(|set| ((*set).to_owned(), BTreeMap::new()))
        .collect()
}

fn plain(key: Vec<u8>) -> Key {
    (key, None)
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The inverse of [`bytes`].
fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok(),
        _ => <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok(),
    }
}

/// `daddr . l4proto . dport`, each part padded to four bytes as nftables' registers are.
fn frontend_key(frontend: &Frontend) -> Vec<u8> {
    let mut key = bytes(frontend.address);
    key.extend([frontend.protocol as u8, 0, 0, 0]);
    key.extend(frontend.port.to_be_bytes());
    key.extend([0, 0]);
    key
}
