//! Handing over: the packet keeps its addresses and goes to a node's hardware address.
//!
//! The rules see packets as they come off the link. A connection that is known stays on its node as long as
//! that node lives; `flows` remembers it by a hash of its addresses and ports, each packet renewing the
//! entry. Datagrams are not remembered: the ring alone decides, so that they follow when a node has no pod
//! any more. Later fragments have no ports. Those of a connection follow the first one, which leaves its number
//! in `pieces`; those of a datagram find their ring by the address alone, even if they come first, which works
//! because a datagram's ring hashes nothing but the addresses.
//!
//! ICMP errors (this packet is too big, nobody listens here) come to the balancer's address too, for it is the
//! source of what they are about. They quote that packet, so they are taken to the node of its connection by
//! the same hashes over the quoted addresses and ports, the other way round.

use kernel::nft::{Data, NETDEV};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{
    Contents, Rules, SEED, Site, TABLE, bytes, emptied, empty, family, frontend_key, hashed, plain,
    put, put_nodes, put_service,
};
use crate::model::{Frontend, Protocol};
use crate::plan::{Desired, Ring, RingKey};

/// The table in the family `netdev`.
pub(crate) const RULES: Rules = Rules {
    family: NETDEV,
    version: "version-2",
    sets: &[
        "services4",
        "services6",
        "fragments4",
        "fragments6",
        "errors4",
        "errors6",
        "nodes4",
        "nodes6",
        "live",
    ],
    skeleton,
    add_ring,
    delete_ring,
    common,
    put_frontend,
    spread: |desired| &desired.handed_over,
};

/// How long a silent connection is remembered; afterwards the ring decides, which knows the same node unless
/// the nodes have changed.
const REMEMBERED: &str = "1h";
/// So many connections are remembered; more fall back to the ring alone.
const FLOWS: u32 = 1 << 20;

/// For so long later fragments follow the first one: as the kernel waits for all pieces of a packet.
const PIECES_REMEMBERED: &str = "30s";
/// So many packets in pieces are remembered.
const PIECES: u32 = 1 << 16;
/// The number that the pieces of an IPv6 packet share, in the fragment header right behind the IPv6 header. The
/// nft program knows `frag id`, but not as a part of a key.
const PIECE6: &str = "jhash ip6 saddr . ip6 daddr . @nh,352,32 mod 4294967295 seed 1";

/// Parts of the packet that an ICMP error quotes behind its own eight bytes; an IPv4 header without options.
struct Quoted {
    /// Whom the packet was for: the client.
    client: &'static str,
    /// Whose it was: our address.
    ours: &'static str,
    client_port: &'static str,
    our_port: &'static str,
    protocol: &'static str,
}

const QUOTED4: Quoted = Quoted {
    client: "@th,192,32",
    ours: "@th,160,32",
    client_port: "@th,240,16",
    our_port: "@th,224,16",
    protocol: "@th,136,8",
};
/// An address in two halves: the nft program takes no more at a time.
const QUOTED6: Quoted = Quoted {
    client: "@th,256,64 . @th,320,64",
    ours: "@th,128,64 . @th,192,64",
    client_port: "@th,400,16",
    our_port: "@th,384,16",
    protocol: "@th,112,8",
};

impl Quoted {
    fn of(ipv4: bool) -> &'static Self {
        if ipv4 { &QUOTED4 } else { &QUOTED6 }
    }

    /// The key of `errors4` and `errors6`: the frontend that the quoted packet came from.
    fn frontend(&self) -> String {
        let Self {
            ours,
            our_port,
            protocol,
            ..
        } = self;
        format!("{ours} . {protocol} . {our_port}")
    }

    /// What [`flow`] makes of the client's packets.
    fn flow(&self) -> String {
        let Self {
            client,
            ours,
            client_port,
            our_port,
            ..
        } = self;
        format!("jhash {client} . {ours} . {client_port} . {our_port} mod 4294967295 seed {SEED}")
    }

    /// What a ring makes of the client's packets.
    fn slot(&self, ring: &Ring) -> String {
        let Self {
            client,
            ours,
            client_port,
            ..
        } = self;
        let key = match ring.key {
            RingKey::Connection => format!("{client} . {client_port}"),
            RingKey::Client => (*client).to_owned(),
            RingKey::Pair => format!("{client} . {ours}"),
        };
        format!("jhash {key} mod {} seed {SEED}", ring.size)
    }
}

fn flow(ipv4: bool) -> String {
    let ip = if ipv4 { "ip" } else { "ip6" };
    format!("jhash {ip} saddr . {ip} daddr . th sport . th dport mod 4294967295 seed {SEED}")
}

/// The table without elements. An update of a map does not change what an element leads to, so a piece whose
/// number another packet had before is deleted first.
fn skeleton(site: &Site) -> String {
    let (flow4, flow6, link, version) = (flow(true), flow(false), &site.link, RULES.version);
    let (error4, error6) = (QUOTED4.frontend(), QUOTED6.frontend());
    format!(
        "add table netdev {TABLE}
delete table netdev {TABLE}
table netdev {TABLE} {{
  map services4 {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map services6 {{ type ipv6_addr . inet_proto . inet_service : verdict; }}
  map fragments4 {{ type ipv4_addr : verdict; }}
  map fragments6 {{ type ipv6_addr : verdict; }}
  map errors4 {{ typeof {error4} : verdict; }}
  map errors6 {{ typeof {error6} : verdict; }}
  map nodes4 {{ type mark : ipv4_addr; }}
  map nodes6 {{ type mark : ipv6_addr; }}
  set live {{ type mark; }}
  map flows {{ typeof {flow4} : meta mark; flags dynamic,timeout; size {FLOWS}; timeout {REMEMBERED}; }}
  map pieces4 {{ typeof ip saddr . ip daddr . ip id : meta mark; flags dynamic,timeout; size {PIECES}; timeout {PIECES_REMEMBERED}; }}
  map pieces6 {{ typeof {PIECE6} : meta mark; flags dynamic,timeout; size {PIECES}; timeout {PIECES_REMEMBERED}; }}
  chain {version} {{ }}
  chain deliver4 {{
    fwd ip to meta mark map @nodes4 device \"{link}\"
  }}
  chain deliver6 {{
    fwd ip6 to meta mark map @nodes6 device \"{link}\"
  }}
  chain remember4 {{
    update @flows {{ {flow4} timeout {REMEMBERED} : meta mark }}
    ip frag-off & 0x3fff == 0x2000 delete @pieces4 {{ ip saddr . ip daddr . ip id : meta mark }}
    ip frag-off & 0x3fff == 0x2000 update @pieces4 {{ ip saddr . ip daddr . ip id timeout {PIECES_REMEMBERED} : meta mark }}
    goto deliver4
  }}
  chain remember6 {{
    update @flows {{ {flow6} timeout {REMEMBERED} : meta mark }}
    ip6 nexthdr 44 delete @pieces6 {{ {PIECE6} : meta mark }}
    ip6 nexthdr 44 update @pieces6 {{ {PIECE6} timeout {PIECES_REMEMBERED} : meta mark }}
    goto deliver6
  }}
  chain netdev-ingress {{
    type filter hook ingress device \"{link}\" priority filter; policy accept;
    ip frag-off & 0x1fff != 0 meta mark set ip saddr . ip daddr . ip id map @pieces4 goto deliver4
    ip frag-off & 0x1fff != 0 ip protocol udp ip daddr vmap @fragments4
    ip6 nexthdr 44 frag frag-off != 0 meta mark set {PIECE6} map @pieces6 goto deliver6
    exthdr frag exists frag frag-off != 0 ip6 daddr vmap @fragments6
    icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} @th,64,8 0x45 {error4} vmap @errors4
    icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }} {error6} vmap @errors6
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
        + &format!(
            "table netdev {TABLE} {{\n{chains}{}}}\n",
            error_chain(name, ring)
        )
}

/// The chain that takes an ICMP error to the node of the connection that it is about.
fn error_chain(name: &str, ring: &Ring) -> String {
    let (quoted, family) = (Quoted::of(ring.ipv4), if ring.ipv4 { 4 } else { 6 });
    let remembered = match ring.key {
        RingKey::Pair => String::new(),
        RingKey::Connection | RingKey::Client => format!(
            "    meta mark set {} map @flows goto deliver{family}\n",
            quoted.flow()
        ),
    };
    format!(
        "  chain {} {{\n{remembered}    meta mark set {} map @{name} goto deliver{family}\n  }}\n",
        error_chain_name(name),
        quoted.slot(ring),
    )
}

fn error_chain_name(ring: &str) -> String {
    format!("error-{ring}")
}

/// A ring's chains, those first that lead to others.
fn chain_names(name: &str) -> Vec<String> {
    let prefixes: &[&str] = if name.contains("-pair-") {
        &["", "error-"]
    } else {
        &["", "known-", "fresh-", "error-"]
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

fn common(desired: &Desired, _: &mut dyn Iterator<Item = &IpAddr>) -> Contents {
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
            Data::Goto(Cow::Owned(ring.to_string())),
        );
    }
    contents
}

fn put_frontend(contents: &mut Contents, frontend: &Frontend, ring: &str) {
    put_service(contents, frontend, ring);
    put(
        contents,
        format!("errors{}", family(frontend.address)),
        plain(frontend_key(frontend)),
        Data::Goto(Cow::Owned(error_chain_name(ring))),
    );
}
