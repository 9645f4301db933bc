//! Translation: the destination becomes a node's port, the source the balancer's own address.
//!
//! Only the first packet of a connection is looked up: afterwards the kernel's connection tracking keeps it
//! on its node, whatever happens to the ring. A hash that no slot has leaves the packet to the balancer's own
//! stack, which refuses it.

use ipnet::IpNet;
use kernel::nft::{Data, Elements, INET};
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{
    Contents, Key, Rules, SEED, Site, TABLE, address, bytes, emptied, empty, family, frontend_key,
    hashed, plain, put, put_nodes, put_service,
};
use crate::model::{Frontend, Way};
use crate::plan::{Desired, Ring};

/// The table in the family `inet`.
pub(crate) const RULES: Rules = Rules {
    family: INET,
    version: "version-3",
    sets: &[
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
        HELD[0],
        HELD[1],
    ],
    skeleton,
    add_ring,
    delete_ring,
    common,
    put_frontend,
    spread: |desired| &desired.translated,
};

/// The addresses that the balancer has put on its link; it takes away no others.
const HELD: [&str; 2] = ["held4", "held6"];

/// The addresses that a predecessor, of whatever version, has put on its link.
pub(crate) fn held(elements: &mut Elements) -> BTreeSet<IpAddr> {
    let sets = HELD.into_iter();
    // No such set: there was no predecessor, or one that did not keep this record.
    let found = sets.flat_map(|set| elements.dump(set).unwrap_or_default());
    found.filter_map(|element| address(&element.key)).collect()
}

fn skeleton(site: &Site) -> String {
    let sources = site.own.iter().map(|address| match address {
        IpAddr::V4(a) => {
            format!("    meta nfproto ipv4 ct status dnat snat ip to {a} fully-random\n")
        }
        IpAddr::V6(a) => {
            format!("    meta nfproto ipv6 ct status dnat snat ip6 to {a} fully-random\n")
        }
    });
    let (sources, version): (String, _) = (sources.collect(), RULES.version);
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
  set held4 {{ type ipv4_addr; }}
  set held6 {{ type ipv6_addr; }}
  chain {version} {{ }}
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

fn add_ring(name: &str, ring: &Ring) -> String {
    let (key, family) = (hashed(ring), if ring.ipv4 { 4 } else { 6 });
    let hash = format!("jhash {key} mod {} seed {SEED}", ring.size);
    let map = format!("typeof {hash} : meta mark;");
    let chain = format!(
        "table inet {TABLE} {{
  chain {name} {{
    meta l4proto {{ tcp, udp, sctp }} meta mark set {hash} map @{name} goto translate{family}
  }}
}}
"
    );
    emptied("inet", name, &map, &[name.to_owned()]) + &chain
}

fn delete_ring(name: &str) -> String {
    format!("delete chain inet {TABLE} {name}\ndelete map inet {TABLE} {name}\n")
}

fn common(desired: &Desired, addresses: &mut dyn Iterator<Item = &IpAddr>) -> Contents {
    let mut contents = empty(RULES.sets);
    put_nodes(&mut contents, desired);
    for address in addresses {
        let set = HELD[usize::from(address.is_ipv6())].to_owned();
        put(&mut contents, set, plain(bytes(*address)), Data::None);
    }
    contents
}

fn put_frontend(contents: &mut Contents, frontend: &Frontend, ring: &str) {
    put_service(contents, frontend, ring);
    let (family, key) = (family(frontend.address), frontend_key(frontend));
    if let Way::Translate { node_port } = frontend.way {
        let port = Data::Value(node_port.to_be_bytes().to_vec());
        put(contents, format!("ports{family}"), plain(key.clone()), port);
    }
    for range in &frontend.source_ranges {
        let filtered = format!("filtered{family}");
        put(contents, filtered, plain(key.clone()), Data::None);
        let allowed = format!("allowed{family}");
        put(contents, allowed, interval(&key, range), Data::None);
    }
}

fn interval(frontend: &[u8], range: &IpNet) -> Key {
    let end = |address: IpAddr| [frontend, &bytes(address)].concat();
    (end(range.network()), Some(end(range.broadcast())))
}
