//! Which endpoints of a port may be chosen on this node: readiness, termination, topology hints
//! and locality (KEP-1669, KEP-2433, KEP-4444 and KEP-3015 in Kubernetes' words).

use crate::model::Family;
use crate::snapshot::{Endpoint, Node, Service};
use crate::table::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The two sets that a traffic policy chooses between, for one port and one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSets {
    /// For the policy `Cluster`: the ready endpoints that topology leaves, or, where none is ready
    /// anywhere, those that still serve while they terminate. Empty: the port has no endpoint.
    pub cluster: Arc<[Target]>,
    /// For the policy `Local`: this node's ready endpoints (topology does not matter), or else
    /// this node's that still serve while they terminate.
    pub local: Arc<[Target]>,
}

impl EndpointSets {
    /// The sets of these endpoints on this node, in one family.
    pub fn of(endpoints: &[Endpoint], node: &Node, family: Family) -> Self {
        let endpoints = distinct(endpoints, family);
        let ready: Vec<&Endpoint> = endpoints.iter().copied().filter(|e| e.ready).collect();
        let last_resort: Vec<&Endpoint> = endpoints
            .iter()
            .copied()
            .filter(|e| e.serving && e.terminating)
            .collect();
        let near = Topology::of(&ready, node).filter(&ready, node);
        let cluster = if ready.is_empty() {
            last_resort.clone()
        } else {
            near
        };
        let local = Some(on_node(&ready, node)).filter(|ready| !ready.is_empty());
        let local = local.unwrap_or_else(|| on_node(&last_resort, node));
        Self {
            cluster: targets(&cluster, node),
            local: targets(&local, node),
        }
    }
}

/// The number of a Service's ready endpoint addresses of one family on this node: what its
/// health-check node port reports to who asks in that family. Terminating endpoints do not count,
/// which is what drains the load balancer.
pub fn local_ready(service: &Service, node: &Node, family: Family) -> usize {
    let endpoints = service.ports.iter().flat_map(|port| &port.endpoints);
    let ready = endpoints.filter(|endpoint| endpoint.ready && endpoint.is_on(node));
    ready
        .filter(|endpoint| Family::of(endpoint.address) == family)
        .map(|endpoint| endpoint.address)
        .collect::<BTreeSet<_>>()
        .len()
}

/// The endpoints of one family, each address and port once. While an endpoint moves between
/// slices it is seen twice: one that stays beats one that goes, else the later wins.
fn distinct(endpoints: &[Endpoint], family: Family) -> Vec<&Endpoint> {
    let mut chosen: BTreeMap<(IpAddr, u16), &Endpoint> = BTreeMap::new();
    for endpoint in endpoints.iter().filter(|e| Family::of(e.address) == family) {
        let slot = chosen
            .entry((endpoint.address, endpoint.port))
            .or_insert(endpoint);
        if slot.terminating || !endpoint.terminating {
            *slot = endpoint;
        }
    }
    chosen.into_values().collect()
}

fn on_node<'a>(endpoints: &[&'a Endpoint], node: &Node) -> Vec<&'a Endpoint> {
    endpoints
        .iter()
        .copied()
        .filter(|endpoint| endpoint.is_on(node))
        .collect()
}

fn targets(endpoints: &[&Endpoint], node: &Node) -> Arc<[Target]> {
    let target = |e: &&Endpoint| Target {
        address: e.address,
        port: e.port,
        local: e.is_on(node),
    };
    endpoints.iter().map(target).collect()
}

/// How the ready endpoints are narrowed. A hint counts only where every ready endpoint has one:
/// during a change of the Service some slices still lack them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topology {
    SameNode,
    SameZone,
    Anywhere,
}

impl Topology {
    fn of(ready: &[&Endpoint], node: &Node) -> Self {
        let all_name_nodes = ready.iter().all(|e| !e.node_hints.is_empty());
        if all_name_nodes && ready.iter().any(|e| names_node(e, node)) {
            return Topology::SameNode;
        }
        let all_name_zones = ready.iter().all(|e| !e.zone_hints.is_empty());
        if all_name_zones && ready.iter().any(|e| names_zone(e, node)) {
            return Topology::SameZone;
        }
        Topology::Anywhere
    }

    fn filter<'a>(self, ready: &[&'a Endpoint], node: &Node) -> Vec<&'a Endpoint> {
        let near = |endpoint: &&&Endpoint| match self {
            Topology::SameNode => names_node(endpoint, node),
            Topology::SameZone => names_zone(endpoint, node),
            Topology::Anywhere => true,
        };
        ready.iter().filter(near).copied().collect()
    }
}

fn names_node(endpoint: &Endpoint, node: &Node) -> bool {
    endpoint.node_hints.contains(&node.name)
}

fn names_zone(endpoint: &Endpoint, node: &Node) -> bool {
    node.zone
        .as_ref()
        .is_some_and(|zone| endpoint.zone_hints.contains(zone))
}
