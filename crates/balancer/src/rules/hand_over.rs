//! Handing over: the packet keeps its addresses and goes to a node's hardware address.
//!
//! The rules see packets as they come off the link. A connection that is known stays on its node as long as
//! that node lives; `flows` remembers it by a hash of its addresses and ports, each packet renewing the
//! entry. Datagrams are not remembered: the ring alone decides, so that they follow when a node has no pod
//! any more. Later fragments have no ports; they find their ring by the address alone, which works because a
//! datagram's ring hashes nothing but the addresses.

use kernel::nft::{Data, NETDEV};
use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{
    Contents, Rules, SEED, Site, TABLE, bytes, emptied, empty, family, hashed, plain, put,
    put_nodes, put_service,
};
use crate::model::Protocol;
use crate::plan::{Desired, Ring, RingKey};

/// The table in the family `netdev`.
pub(crate) const RULES: Rules = Rules {
    family: NETDEV,
    version: "version-1",
    sets: &[
        "services4",
        "services6",
        "fragments4",
        "fragments6",
        "nodes4",
        "nodes6",
        "live",
    ],
    skeleton,
    add_ring,
    delete_ring,
    contents,
};

/// How long a silent connection is remembered; afterwards the ring decides, which knows the same node unless
/// the nodes have changed.
const REMEMBERED: &str = "1h";
/// So many connections are remembered; more fall back to the ring alone.
const FLOWS: u32 = 1 << 20;

fn flow(ipv4: bool) -> String {
    let ip = if ipv4 { "ip" } else { "ip6" };
    format!("jhash {ip} saddr . {ip} daddr . th sport . th dport mod 4294967295 seed {SEED}")
}

fn skeleton(site: &Site) -> String {
    let (flow4, flow6, link, version) = (flow(true), flow(false), &site.link, RULES.version);
    format!(
        "add table netdev {TABLE}
delete table netdev {TABLE}
table netdev {TABLE} {{
  map services4 {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map services6 {{ type ipv6_addr . inet_proto . inet_service : verdict; }}
  map fragments4 {{ type ipv4_addr : verdict; }}
  map fragments6 {{ type ipv6_addr : verdict; }}
  map nodes4 {{ type mark : ipv4_addr; }}
  map nodes6 {{ type mark : ipv6_addr; }}
  set live {{ type mark; }}
  map flows {{ typeof {flow4} : meta mark; flags dynamic,timeout; size {FLOWS}; timeout {REMEMBERED}; }}
  chain {version} {{ }}
  chain deliver4 {{
    fwd ip to meta mark map @nodes4 device \"{link}\"
  }}
  chain deliver6 {{
    fwd ip6 to meta mark map @nodes6 device \"{link}\"
  }}
  chain remember4 {{
    update @flows {{ {flow4} timeout {REMEMBERED} : meta mark }}
    goto deliver4
  }}
  chain remember6 {{
    update @flows {{ {flow6} timeout {REMEMBERED} : meta mark }}
    goto deliver6
  }}
  chain netdev-ingress {{
    type filter hook ingress device \"{link}\" priority filter; policy accept;
    ip frag-off & 0x1fff != 0 ip protocol udp ip daddr vmap @fragments4
    exthdr frag exists frag frag-off != 0 ip6 daddr vmap @fragments6
    ip daddr . meta l4proto . th dport vmap @services4
    ip6 daddr . meta l4proto . th dport vmap @services6
  }}
}}
"
    )
}

fn add_ring(name: &str, ring: &Ring) -> String {
    let (key, family) = (hashed(ring), if ring.ipv4 { 4 } else { 6 });
    let hash = format!("jhash {key} mod {} seed {SEED}", ring.size);
    // A datagram's ring must not look at ports, for fragments have none; so it remembers nothing.
    let chains = match ring.key {
        RingKey::Pair => format!(
            "  chain {name} {{
    meta mark set {hash} map @{name} goto deliver{family}
    drop
  }}
"
        ),
        RingKey::Connection | RingKey::Client => format!(
            "  chain fresh-{name} {{
    meta l4proto udp meta mark set {hash} map @{name} goto deliver{family}
    meta mark set {hash} map @{name} goto remember{family}
    drop
  }}
  chain known-{name} {{
    meta mark @live goto remember{family}
    delete @flows {{ {flow} : meta mark }}
    goto fresh-{name}
  }}
  chain {name} {{
    tcp flags & (syn | ack) == syn goto fresh-{name}
    meta l4proto udp goto fresh-{name}
    meta mark set {flow} map @flows goto known-{name}
    goto fresh-{name}
  }}
",
            flow = flow(ring.ipv4)
        ),
    };
    let map = format!("typeof {hash} : meta mark;");
    emptied("netdev", name, &map, &chain_names(name))
        + &format!("table netdev {TABLE} {{\n{chains}}}\n")
}

/// A ring's chains, those first that lead to others.
fn chain_names(name: &str) -> Vec<String> {
    let prefixes: &[&str] = if name.contains("-pair-") {
        &[""]
    } else {
        &["", "known-", "fresh-"]
    };
    let names = prefixes.iter().map(|prefix| format!("{prefix}{name}"));
    names.collect()
}

fn delete_ring(name: &str) -> String {
    let chains = chain_names(name);
    let chains = chains
        .iter()
        .map(|chain| format!("delete chain netdev {TABLE} {chain}\n"));
    chains.collect::<String>() + &format!("delete map netdev {TABLE} {name}\n")
}

fn contents(desired: &Desired) -> Contents {
    let mut contents = empty(RULES.sets);
    put_nodes(&mut contents, desired);
    for mark in &desired.live {
        put(
            &mut contents,
            "live".to_owned(),
            plain(mark.to_ne_bytes().to_vec()),
            Data::None,
        );
    }
    let mut fragments = BTreeMap::new();
    for (frontend, ring) in &desired.handed_over.frontends {
        put_service(&mut contents, frontend, ring);
        if frontend.protocol == Protocol::Udp {
            // Of several Services on one address the first gets the fragments: nothing tells them apart.
            fragments.entry(frontend.address).or_insert(ring);
        }
    }
    for (address, ring) in fragments {
        let set = format!("fragments{}", family(address));
        put(
            &mut contents,
            set,
            plain(bytes(address)),
            Data::Goto(Cow::Owned(ring.clone())),
        );
    }
    contents
}
