//! The rules, as text for `nft -f -`: everything but elements. It is loaded once; what is added
//! later is a group of chains for a number of endpoints that was not seen before.
//!
//! In the templates `IP` stands for `ip` and `ip6`, `#` for 4 and 6, and `FRONTEND` for the
//! address, protocol and port that the client dialled (`CLIENT`: see [`CLIENT4`]; `ONLY` keeps the
//! other family out of a rule that does not name one by itself).
//!
//! The way of a new connection: `nat-prerouting` or `nat-output` → `services` → by the frontend's
//! element straight into a chain of its group, such as `n3-masquerade` → `n3`, where one of three
//! slots is drawn and the packet translated → `nat-postrouting`, where marked ones get the node's
//! address. Packets of known connections meet none of this: these are all NAT chains, which see
//! the first packet only, and that is also why refusals need no test for new connections.

use super::maps::TABLE;
use forwarding::{Action, Family, NodeRules, Route};
use ipnet::IpNet;
use std::fmt::Write;

mod group;

pub(super) use group::Group;

/// The chain that refuses.
pub(super) const REFUSE: &str = "refuse";
/// The chain that asks for the source first.
pub(super) const GUARD: &str = "guard";
const ABSORBER: &str = "never-met";
/// Groups for up to so many endpoints are there from the start.
const READY_MADE: usize = 32;
/// How many clients are remembered in all, per family; beyond it new ones are spread afresh.
const CLIENTS: usize = 262_144;

/// Declares the table with maps, sets and all chains that no hook leads to yet.
pub(super) fn table() -> String {
    let chains = absorber()
        + &fixed_chains()
        + &ready_made().map(|group| group.chains()).collect::<String>();
    let version = version_of(&chains);
    format!(
        "table inet {TABLE} {{\n\tchain {version} {{ }}\n{}{chains}}}\n",
        declarations()
    )
}

/// Leads packets into the table; doing it again changes nothing.
pub(super) fn hooks() -> String {
    let flush: String = HOOKS
        .iter()
        .map(|(name, ..)| format!("flush chain inet {TABLE} {name}\n"))
        .collect();
    let declare: String = HOOKS
        .iter()
        .map(|(name, hook, _)| chain(name, hook))
        .collect();
    let fill: String = HOOKS
        .iter()
        .map(|(name, _, rules)| chain(name, &both(rules)))
        .collect();
    format!("table inet {TABLE} {{\n{declare}}}\n{flush}table inet {TABLE} {{\n{fill}}}\n")
}

/// Adds groups of chains; doing it again changes nothing.
pub(super) fn groups(groups: &[Group]) -> String {
    let mut names: Vec<String> = groups.iter().flat_map(Group::chain_names).collect();
    names.push(ABSORBER.to_owned());
    let line = |verb: &str, name: &String| format!("{verb} chain inet {TABLE} {name}\n");
    let declare: String = names.iter().map(|name| line("add", name)).collect();
    let flush: String = names.iter().map(|name| line("flush", name)).collect();
    let chains = absorber() + &groups.iter().map(Group::chains).collect::<String>();
    format!("{declare}{flush}table inet {TABLE} {{\n{chains}}}\n")
}

/// The groups that a route leads to.
pub(super) fn groups_of(route: &Route) -> Vec<Group> {
    let Action::Deliver(delivery) = &route.action else {
        return Vec::new();
    };
    let outsiders = delivery.outsiders.as_ref().map(|targets| targets.len());
    let counts = [
        Some(delivery.targets.len()),
        outsiders.filter(|count| *count > 0),
    ];
    let group = |count| Group::new(count, delivery.affinity_seconds);
    counts.into_iter().flatten().map(group).collect()
}

/// The groups that are there from the start.
pub(super) fn ready_made() -> impl Iterator<Item = Group> {
    (1..=READY_MADE).map(|count| Group::new(count, None))
}

/// Says what holds for the node as a whole.
pub(super) fn node(rules: &NodeRules) -> String {
    let mut text = String::new();
    for (set, cidrs) in [
        ("local", &rules.local_cidrs),
        ("service-cidrs", &rules.service_cidrs),
    ] {
        for (family, digit) in [(Family::V4, 4), (Family::V6, 6)] {
            let name = format!("inet {TABLE} {set}{digit}");
            let of_family = cidrs
                .iter()
                .filter(|cidr| Family::of(cidr.addr()) == family);
            let list: Vec<String> = of_family.map(IpNet::to_string).collect();
            writeln!(text, "flush set {name}").expect("a string takes any text");
            if !list.is_empty() {
                let list = list.join(", ");
                writeln!(text, "add element {name} {{ {list} }}").expect("a string takes any text");
            }
        }
    }
    text
}

/// Takes the table away, if it is there.
pub(super) fn remove() -> String {
    format!("add table inet {TABLE}\ndelete table inet {TABLE}\n")
}

/// An empty chain whose name tells this version's skeleton from others'.
pub(super) fn version() -> String {
    let chains = absorber()
        + &fixed_chains()
        + &ready_made().map(|group| group.chains()).collect::<String>();
    version_of(&chains)
}

fn version_of(chains: &str) -> String {
    let all = declarations() + chains + &hooks();
    // FNV-1a: the name only has to differ when the text does.
    let hash = all.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("skeleton-{hash:016x}")
}

/// What `CLIENT` stands for: a client of a Service port, whose number is in the connection mark.
const CLIENT4: &str = "ip saddr . ct mark";
/// nft 1.0.6 cannot update a map whose key is longer than 16 bytes, so in IPv6 the connection mark
/// holds a hash of both (see [`HASH_CLIENT6`]). Two clients that share one merely move each other.
const CLIENT6: &str = "ct mark";
/// The rule that makes that hash; without a fixed seed each rule would have its own.
const HASH_CLIENT6: &str = "ct mark set jhash ip6 saddr . ct mark mod 4294967295 seed 0x66616972";

/// Name, declaration and rules of the chains that packets enter by.
const HOOKS: [(&str, &str, &str); 3] = [
    (
        "nat-prerouting",
        "type nat hook prerouting priority dstnat; policy accept;",
        "jump services",
    ),
    (
        "nat-output",
        "type nat hook output priority -100; policy accept;",
        "jump services",
    ),
    (
        "nat-postrouting",
        "type nat hook postrouting priority srcnat; policy accept;",
        // A mark with bit 31 is an endpoint's number: it has served. Bit 14 asks for the node's
        // address. An endpoint that reaches itself would otherwise answer itself directly.
        "ct status dnat meta mark & 0x80000000 != 0 meta mark set meta mark & 0x00004000
         meta mark & 0x00004000 != 0 meta mark set meta mark & 0xffffbfff masquerade fully-random
         ct status dnat IP saddr . IP daddr @hairpins# masquerade fully-random",
    ),
];

/// Values are declared with `tcp dport` for any protocol's port: nft 1.0.6 cannot read `ip daddr .
/// th dport` back as a value when later chains are added ("conflicting protocols").
fn declarations() -> String {
    let maps = [
        ("map frontends#", "typeof FRONTEND : verdict;"),
        ("map admitted#", "typeof FRONTEND : verdict;"),
        ("map outsiders#", "typeof FRONTEND : verdict;"),
        (
            "map slots#",
            "typeof FRONTEND . numgen random mod 2 : IP daddr . tcp dport;",
        ),
        (
            "map outsider-slots#",
            "typeof FRONTEND . numgen random mod 2 : IP daddr . tcp dport;",
        ),
        ("map sticky-ports#", "typeof FRONTEND : ct mark;"),
        (
            "map sticky-slots#",
            "typeof FRONTEND . numgen random mod 2 : meta mark;",
        ),
        (
            "map sticky-outsider-slots#",
            "typeof FRONTEND . numgen random mod 2 : meta mark;",
        ),
        (
            "map sticky-targets#",
            "typeof FRONTEND . meta mark : IP daddr . tcp dport;",
        ),
        (
            "map sticky-outsider-targets#",
            "typeof FRONTEND . meta mark : IP daddr . tcp dport;",
        ),
        (
            "set sources#",
            "typeof FRONTEND . IP saddr; flags interval;",
        ),
        ("set cluster-ips#", "typeof IP daddr;"),
        ("set hairpins#", "typeof IP saddr . IP daddr;"),
        ("set local#", "typeof IP saddr; flags interval;"),
        ("set service-cidrs#", "typeof IP daddr; flags interval;"),
    ];
    let mut text = String::new();
    for (name, body) in maps {
        text += &both(&format!("{name} {{ {body} }}"));
    }
    text += &both(&format!(
        "map sticky-clients# {{ typeof CLIENT : meta mark; flags dynamic,timeout; size {CLIENTS}; }}"
    ));
    text
}

/// A chain that no packet meets, first in every text. Because values are declared with `tcp dport`,
/// nft 1.0.6 makes the first rule of a text that uses such a map one for TCP only: these rules.
fn absorber() -> String {
    let slot = |map: &str| format!("dnat IP to FRONTEND . numgen random mod 2 map @{map}#\n");
    let target = |map: &str| format!("dnat IP to FRONTEND . meta mark map @{map}#\n");
    let slots = ["slots", "outsider-slots"].map(slot);
    let targets = ["sticky-targets", "sticky-outsider-targets"].map(target);
    chain(ABSORBER, &both(&(slots.concat() + &targets.concat())))
}

fn fixed_chains() -> String {
    let guard = "FRONTEND . IP saddr @sources# FRONTEND vmap @admitted#\ndrop";
    let services = "FRONTEND vmap @frontends#
        IP daddr @cluster-ips# goto refuse
        IP daddr @service-cidrs# drop";
    // `reject` alone is an ICMP port unreachable: TCP clients see a refused connection.
    [
        chain(REFUSE, "\t\treject\n"),
        chain(GUARD, &both(guard)),
        chain("services", &both(services)),
    ]
    .concat()
}

fn chain(name: &str, body: &str) -> String {
    format!("\tchain {name} {{\n{}\n\t}}\n", body.trim_end_matches('\n'))
}

/// Each line of a template for both families, where it names one.
fn both(template: &str) -> String {
    let mut text = String::new();
    for line in template.lines().map(str::trim) {
        let line = line.replace("FRONTEND", "IP daddr . meta l4proto . th dport");
        if line.contains("IP ") || line.contains('#') {
            for (ip, digit, client, only) in [
                ("ip ", "4", CLIENT4, ""),
                ("ip6 ", "6", CLIENT6, "meta nfproto ipv6 "),
            ] {
                let line = line
                    .replace("IP ", ip)
                    .replace('#', digit)
                    .replace("ONLY ", only)
                    .replace("CLIENT", client);
                writeln!(text, "\t\t{line}").expect("a string takes any text");
            }
        } else {
            writeln!(text, "\t\t{line}").expect("a string takes any text");
        }
    }
    text
}

#[cfg(test)]
mod tests;
