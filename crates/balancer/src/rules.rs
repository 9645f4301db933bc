//! The plan in nftables' terms: the rules as text, what changes as elements of maps.
//!
//! A connection to a frontend is looked up in `services4`, which names its ring; the ring turns a hash of the
//! client into a node's mark; `nodes4` and `ports4` give the destination. Only the first packet of a
//! connection goes this way: afterwards the kernel's connection tracking keeps it on its node, whatever
//! happens to the ring.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use forwarding::RING_SIZE;
use ipnet::IpNet;
use kernel::nft::{Data, Element};

use crate::model::Frontend;
use crate::plan::{Desired, Ring};

/// The table, in the family `inet`.
pub(crate) const TABLE: &str = "fairway";
/// A chain whose name says which rules these are; a table without it is made anew.
pub(crate) const VERSION: &str = "version-1";
/// The maps and sets that are always there.
pub(crate) const SETS: [&str; 10] = [
    "services4",
    "services6",
    "ports4",
    "ports6",
    "nodes4",
    "nodes6",
    "filtered4",
    "filtered6",
    "allowed4",
    "allowed6",
];

/// What each map or set should hold.
pub(crate) type Contents = BTreeMap<String, BTreeMap<Key, Data>>;

/// An element's key, and where it ends if it is an interval.
pub(crate) type Key = (Vec<u8>, Option<Vec<u8>>);

/// The table without elements. `own` are the balancer's own addresses: replies come back because the nodes
/// see them as the clients.
pub(crate) fn skeleton(own: &[IpAddr]) -> String {
    let sources: String = own
        .iter()
        .map(|address| match address {
            IpAddr::V4(a) => {
                format!("    meta nfproto ipv4 ct status dnat snat ip to {a} fully-random\n")
            }
            IpAddr::V6(a) => {
                format!("    meta nfproto ipv6 ct status dnat snat ip6 to {a} fully-random\n")
            }
        })
        .collect();
    format!(
        "add table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  map services4 {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map services6 {{ type ipv6_addr . inet_proto . inet_service : verdict; }}
  map ports4 {{ type ipv4_addr . inet_proto . inet_service : inet_service; }}
  map ports6 {{ type ipv6_addr . inet_proto . inet_service : inet_service; }}
  map nodes4 {{ type mark : ipv4_addr; }}
  map nodes6 {{ type mark : ipv6_addr; }}
  set filtered4 {{ type ipv4_addr . inet_proto . inet_service; }}
  set filtered6 {{ type ipv6_addr . inet_proto . inet_service; }}
  set allowed4 {{ type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }}
  set allowed6 {{ type ipv6_addr . inet_proto . inet_service . ipv6_addr; flags interval; }}
  chain {VERSION} {{ }}
  chain translate4 {{
    meta l4proto {{ tcp, udp, sctp }} dnat ip to meta mark map @nodes4 : ip daddr . meta l4proto . th dport map @ports4
  }}
  chain translate6 {{
    meta l4proto {{ tcp, udp, sctp }} dnat ip6 to meta mark map @nodes6 : ip6 daddr . meta l4proto . th dport map @ports6
  }}
  chain filter-prerouting {{
    type filter hook prerouting priority dstnat - 10; policy accept;
    ct state new ip daddr . meta l4proto . th dport @filtered4 ip daddr . meta l4proto . th dport . ip saddr != @allowed4 drop
    ct state new ip6 daddr . meta l4proto . th dport @filtered6 ip6 daddr . meta l4proto . th dport . ip6 saddr != @allowed6 drop
  }}
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr . meta l4proto . th dport vmap @services4
    ip6 daddr . meta l4proto . th dport vmap @services6
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
{sources}  }}
}}
"
    )
}

/// The text that adds a ring: its map and the chain that looks into it. A hash that no slot has ends the
/// chain, and the connection meets the balancer's own stack, which refuses it.
pub(crate) fn add_ring(name: &str, ring: &Ring) -> String {
    let family = if name.contains("6-") {
        ("ip6", "6")
    } else {
        ("ip", "4")
    };
    let key = match ring.by_client {
        true => format!("{} saddr", family.0),
        false => format!("{} saddr . th sport", family.0),
    };
    format!(
        "table inet {TABLE} {{
  map {name} {{ typeof jhash {key} mod {RING_SIZE} : meta mark; }}
  chain {name} {{
    meta l4proto {{ tcp, udp, sctp }} meta mark set jhash {key} mod {RING_SIZE} map @{name} goto translate{}
  }}
}}
",
        family.1
    )
}

/// The text that removes a ring nobody uses.
pub(crate) fn delete_ring(name: &str) -> String {
    format!("delete chain inet {TABLE} {name}\ndelete map inet {TABLE} {name}\n")
}

/// The elements of everything, rings included.
pub(crate) fn contents(desired: &Desired) -> Contents {
    let mut contents: Contents = SETS
        .iter()
        .map(|set| ((*set).to_owned(), BTreeMap::new()))
        .collect();
    let mut put = |set: String, key: Key, data: Data| {
        contents.entry(set).or_default().insert(key, data);
    };
    for (mark, addresses) in &desired.nodes {
        for address in addresses {
            put(
                format!("nodes{}", family(*address)),
                plain(mark.to_ne_bytes().to_vec()),
                Data::Value(bytes(*address)),
            );
        }
    }
    for (frontend, ring) in &desired.frontends {
        let (family, key) = (family(frontend.address), frontend_key(frontend));
        put(
            format!("services{family}"),
            plain(key.clone()),
            Data::Goto(Cow::Owned(ring.clone())),
        );
        let port = frontend.node_port.to_be_bytes().to_vec();
        put(
            format!("ports{family}"),
            plain(key.clone()),
            Data::Value(port),
        );
        for range in &frontend.source_ranges {
            put(format!("filtered{family}"), plain(key.clone()), Data::None);
            put(
                format!("allowed{family}"),
                interval(&key, range),
                Data::None,
            );
        }
    }
    for (name, ring) in &desired.rings {
        let slots = (0_u32..).zip(&ring.slots);
        let slots = slots.map(|(slot, mark)| {
            (
                plain(slot.to_ne_bytes().to_vec()),
                Data::Value(mark.to_ne_bytes().to_vec()),
            )
        });
        contents.insert(name.clone(), slots.collect());
    }
    contents
}

/// An element from its parts.
pub(crate) fn element((key, key_end): &Key, data: &Data) -> Element {
    Element {
        key: key.clone(),
        key_end: key_end.clone(),
        data: data.clone(),
    }
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

/// `daddr . l4proto . dport`, each part padded to four bytes as nftables' registers are.
fn frontend_key(frontend: &Frontend) -> Vec<u8> {
    let mut key = bytes(frontend.address);
    key.extend([frontend.protocol as u8, 0, 0, 0]);
    key.extend(frontend.port.to_be_bytes());
    key.extend([0, 0]);
    key
}

fn interval(frontend: &[u8], range: &IpNet) -> Key {
    let end = |address: IpAddr| [frontend, &bytes(address)].concat();
    (end(range.network()), Some(end(range.broadcast())))
}
