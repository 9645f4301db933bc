//! What should be in the kernel, computed whole from the model and the nodes' health.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use forwarding::{Maglev, Member, RING_SIZE};

use crate::model::{Check, Frontend, Model, Node, Protocol, Way};

/// What the checks say about the nodes, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Those that pass each check.
    pub passed: BTreeMap<Check, BTreeSet<String>>,
    /// Those that have not even refused for long.
    pub dead: BTreeSet<String>,
}

/// Slots of a ring of few nodes: there may be one for every Service with `externalTrafficPolicy: Local`.
/// A hundred per node keep the shares within some percent.
const FEW: (usize, usize) = (10, 1021);

/// The name of a node in the kernel: a packet mark.
pub type Mark = u32;

/// Everything that should be in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Addresses that the balancer answers for.
    pub addresses: BTreeSet<IpAddr>,
    /// Every node's mark and addresses.
    pub nodes: BTreeMap<Mark, Vec<IpAddr>>,
    /// The nodes that are not dead: connections that were handed to them stay, whatever the checks say.
    pub live: BTreeSet<Mark>,
    /// What is translated.
    pub translated: Spread,
    /// What is handed over.
    pub handed_over: Spread,
}

/// Frontends, and the rings that spread their connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The rings in use, by name.
    pub rings: BTreeMap<String, Arc<Ring>>,
    /// Frontends with the name of their ring, in the model's order.
    pub frontends: Vec<(Frontend, Arc<str>)>,
}

/// Which node a hash leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// One mark per slot; empty where no node is left.
    pub slots: Vec<Mark>,
    /// How many slots there are, also of an empty one.
    pub size: usize,
    /// What is hashed.
    pub key: RingKey,
    /// Whether the packets are IPv4.
    pub ipv4: bool,
    /// Who is in it.
    members: Vec<(String, Mark)>,
}

/// What of a packet decides its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RingKey {
    /// The client's address and port: every connection for itself.
    Connection,
    /// The client's address: all its connections stay together.
    Client,
    /// Both addresses: later fragments of a datagram have no ports.
    Pair,
}

/// The plan for a model and the nodes' health. Rings that were planned `before` and have the same members are
/// not computed again.
pub fn plan(model: &Model, health: &Health, before: &Desired) -> Desired {
    let marks = marks(&model.nodes);
    let mut desired = Desired {
        addresses: model
            .frontends
            .iter()
            .map(|frontend| frontend.address)
            .collect(),
        nodes: model
            .nodes
            .iter()
            .map(|n| (marks[n.name.as_str()], n.addresses.clone()))
            .collect(),
        live: live(&model.nodes, health)
            .iter()
            .map(|name| marks[name])
            .collect(),
        ..Desired::default()
    };
    // Frontends are many, and nearly all of them share their members and ring.
    let mut names: BTreeMap<_, Arc<str>> = BTreeMap::new();
    for frontend in &model.frontends {
        let (translated, spread, before) = match frontend.way {
            Way::Translate { .. } => (true, &mut desired.translated, &before.translated),
            Way::HandOver => (false, &mut desired.handed_over, &before.handed_over),
        };
        let alike = (
            translated,
            frontend.address.is_ipv4(),
            frontend.check,
            ring_key(frontend),
        );
        let name = names.entry(alike).or_insert_with(|| {
            let members = members(&model.nodes, frontend, health);
            let name = ring_name(&members, frontend);
            if !spread.rings.contains_key(&name) {
                let known = before.rings.get(&name);
                let ring = ring(&members, &marks, frontend, known);
                spread.rings.insert(name.clone(), ring);
            }
            name.into()
        });
        spread.frontends.push((frontend.clone(), Arc::clone(name)));
    }
    desired
}

/// Nodes that are not dead; all, if every one is (see [`members`]).
fn live<'a>(nodes: &'a [Node], health: &Health) -> Vec<&'a str> {
    let all: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let lives = |name: &&str| !health.dead.contains(*name);
    let living: Vec<&str> = all.iter().copied().filter(lives).collect();
    if living.is_empty() { all } else { living }
}

/// The nodes that take a frontend's connections. If every proxy seems dead the checks are more likely at
/// fault than all nodes, so all take part; a health-check node port is believed even then, for it says where
/// the pods are.
fn members<'a>(nodes: &'a [Node], frontend: &Frontend, health: &Health) -> Vec<&'a str> {
    let family = |node: &&Node| {
        node.addresses
            .iter()
            .any(|address| address.is_ipv4() == frontend.address.is_ipv4())
    };
    let all: Vec<&str> = nodes
        .iter()
        .filter(|node| !node.leaving)
        .filter(family)
        .map(|node| node.name.as_str())
        .collect();
    let passed = health.passed.get(&frontend.check);
    let healthy: Vec<&str> = all
        .iter()
        .copied()
        .filter(|name| passed.is_some_and(|set| set.contains(*name)))
        .collect();
    if healthy.is_empty() && frontend.check == Check::Proxy {
        all
    } else {
        healthy
    }
}

/// Rings belong to sets of nodes, not to Services: nearly all Services share one. The ring of all healthy
/// nodes keeps its name when a node fails, so that only the slots of that node are written; others are
/// named after their members.
fn ring_name(members: &[&str], frontend: &Frontend) -> String {
    let family = if frontend.address.is_ipv4() { 4 } else { 6 };
    let key = match ring_key(frontend) {
        RingKey::Connection => "connection",
        RingKey::Client => "client",
        RingKey::Pair => "pair",
    };
    match frontend.check {
        Check::Proxy => format!("ring{family}-{key}-healthy"),
        Check::Port(_) => format!("ring{family}-{key}-{:016x}", fnv64(&members.join(" "))),
    }
}

fn ring_key(frontend: &Frontend) -> RingKey {
    match frontend.way {
        Way::HandOver if frontend.affinity => RingKey::Client,
        Way::HandOver if frontend.protocol == Protocol::Udp => RingKey::Pair,
        _ => RingKey::Connection,
    }
}

fn ring(
    members: &[&str],
    marks: &BTreeMap<&str, Mark>,
    frontend: &Frontend,
    known: Option<&Arc<Ring>>,
) -> Arc<Ring> {
    let marked: Vec<(String, Mark)> = members
        .iter()
        .map(|name| ((*name).to_owned(), marks[name]))
        .collect();
    if let Some(known) = known.filter(|known| known.members == marked) {
        return Arc::clone(known);
    }
    let list: Vec<Member<'_>> = members.iter().map(|name| Member::new(name)).collect();
    let size = ring_size(members, frontend);
    let maglev = Maglev::new(&list, size);
    let mark = |slot: &u32| marks[members[*slot as usize]];
    let slots = maglev.slots().iter().map(mark).collect();
    Arc::new(Ring {
        slots,
        size,
        key: ring_key(frontend),
        ipv4: frontend.address.is_ipv4(),
        members: marked,
    })
}

/// The ring of all healthy nodes keeps its size, for another one would send everybody elsewhere.
fn ring_size(members: &[&str], frontend: &Frontend) -> usize {
    match frontend.check {
        Check::Port(_) if members.len() <= FEW.0 => FEW.1,
        _ => RING_SIZE,
    }
}

/// A mark for each node, from its name alone wherever no two collide, so that a restarted balancer gives
/// the same.
fn marks(nodes: &[Node]) -> BTreeMap<&str, Mark> {
    let (mut marks, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for node in nodes {
        let mut mark = fnv(&node.name).max(1);
        while !taken.insert(mark) {
            mark = mark.wrapping_add(1).max(1);
        }
        marks.insert(node.name.as_str(), mark);
    }
    marks
}

/// FNV-1a, 64 bits, for names that must not meet.
fn fnv64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// FNV-1a, 32 bits: short names for kernel objects, the same in every process.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(model: &Model, health: &Health) -> Desired {
        super::plan(model, health, &Desired::default())
    }

    fn model(check: Check) -> Model {
        let node = |n: u8| Node {
            name: format!("node-{n}"),
            addresses: vec![IpAddr::from([198, 18, 0, 10 + n])],
            leaving: false,
        };
        let frontend = Frontend {
            service: "n/web".into(),
            address: IpAddr::from([198, 18, 1, 1]),
            port: 80,
            protocol: Protocol::Tcp,
            way: Way::Translate { node_port: 30080 },
            source_ranges: Vec::new(),
            check,
            affinity: false,
        };
        Model {
            frontends: vec![frontend],
            nodes: (1..=3).map(node).collect(),
        }
    }

    fn healthy(check: Check, names: &[&str]) -> Health {
        let passed = names.iter().map(|n| (*n).to_owned()).collect();
        Health {
            passed: [(check, passed)].into(),
            ..Health::default()
        }
    }

    fn shares(desired: &Desired) -> BTreeMap<Mark, usize> {
        let mut shares = BTreeMap::new();
        for mark in &desired
            .translated
            .rings
            .values()
            .next()
            .expect("one ring")
            .slots
        {
            *shares.entry(*mark).or_default() += 1;
        }
        shares
    }

    #[test]
    fn a_dead_node_gives_up_its_slots_and_few_others_move() {
        let model = model(Check::Proxy);
        let before = plan(
            &model,
            &healthy(Check::Proxy, &["node-1", "node-2", "node-3"]),
        );
        let after = plan(&model, &healthy(Check::Proxy, &["node-1", "node-3"]));
        assert_eq!((shares(&before).len(), shares(&after).len()), (3, 2));
        let dead = marks(&model.nodes)["node-2"];
        let (ring, changed) = (
            &before.translated.rings["ring4-connection-healthy"],
            &after.translated.rings["ring4-connection-healthy"],
        );
        let moved = ring
            .slots
            .iter()
            .zip(&changed.slots)
            .filter(|(a, b)| **a != dead && a != b)
            .count();
        assert!(
            moved * 100 < RING_SIZE,
            "{moved} slots of living nodes moved"
        );
    }

    #[test]
    fn when_every_proxy_seems_dead_all_nodes_take_part_but_not_with_local_policy() {
        assert_eq!(
            shares(&plan(&model(Check::Proxy), &Health::default())).len(),
            3
        );
        let local = plan(&model(Check::Port(31000)), &Health::default());
        assert!(
            local
                .translated
                .rings
                .values()
                .all(|ring| ring.slots.is_empty()),
            "no pod, no node"
        );
    }

    #[test]
    fn a_leaving_node_keeps_its_connections_and_gets_no_new_ones() {
        let mut model = model(Check::Proxy);
        model.nodes[1].leaving = true;
        let all = ["node-1", "node-2", "node-3"];
        let desired = plan(&model, &healthy(Check::Proxy, &all));
        let mark = marks(&model.nodes)["node-2"];
        assert!(!shares(&desired).contains_key(&mark));
        assert!(desired.live.contains(&mark) && desired.nodes.contains_key(&mark));
    }

    #[test]
    fn a_failing_node_keeps_its_connections_until_it_is_dead() {
        let model = model(Check::Proxy);
        let mut health = healthy(Check::Proxy, &["node-1", "node-3"]);
        let mark = marks(&model.nodes)["node-2"];
        assert!(plan(&model, &health).live.contains(&mark));
        health.dead.insert("node-2".into());
        assert!(!plan(&model, &health).live.contains(&mark));
    }

    #[test]
    fn a_ring_is_computed_again_only_when_its_members_change() {
        let model = model(Check::Proxy);
        let all = healthy(Check::Proxy, &["node-1", "node-2", "node-3"]);
        let first = plan(&model, &all);
        let name = "ring4-connection-healthy";
        let again = super::plan(&model, &all, &first);
        assert!(Arc::ptr_eq(
            &first.translated.rings[name],
            &again.translated.rings[name]
        ));
        let fewer = healthy(Check::Proxy, &["node-1", "node-3"]);
        let other = super::plan(&model, &fewer, &first);
        assert_eq!(other, plan(&model, &fewer));
        assert_ne!(other.translated.rings[name], first.translated.rings[name]);
    }

    #[test]
    fn only_nodes_with_pods_are_in_the_ring_of_a_local_service() {
        let check = Check::Port(31000);
        let desired = plan(&model(check), &healthy(check, &["node-2"]));
        assert_eq!(shares(&desired).len(), 1);
        assert_eq!(
            desired,
            plan(&model(check), &healthy(check, &["node-2"])),
            "planned twice alike"
        );
    }
}
