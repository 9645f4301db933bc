//! The routes of one Service on one node: every traffic policy is decided here.

use crate::model::{Family, Frontend, PortName, ServiceName};
use crate::policy::EndpointSets;
use crate::snapshot::{Node, Service, ServicePort, TrafficPolicy};
use crate::table::{Action, Delivery, FrontendKind, Masquerade, Route};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Every frontend that a Service wants, and what would be done there.
pub(super) fn of_service(
    name: &ServiceName,
    service: &Service,
    node: &Node,
) -> BTreeMap<Frontend, Arc<Route>> {
    let mut routes: BTreeMap<Frontend, Arc<Route>> = BTreeMap::new();
    for port in &service.ports {
        let port_name = PortName {
            service: name.clone(),
            port: Arc::clone(&port.name),
            protocol: port.protocol,
        };
        for family in Family::BOTH {
            let view = PortView {
                name: &port_name,
                service,
                port,
                node,
                family,
            };
            for (frontend, route) in view.routes() {
                let slot = routes.entry(frontend).or_insert_with(|| Arc::clone(&route));
                if (route.kind, &route.port) < (slot.kind, &slot.port) {
                    *slot = route;
                }
            }
        }
    }
    routes
}

/// One port of a Service, seen from one node in one family.
struct PortView<'a> {
    name: &'a PortName,
    service: &'a Service,
    port: &'a ServicePort,
    node: &'a Node,
    family: Family,
}

impl PortView<'_> {
    fn routes(&self) -> Vec<(Frontend, Arc<Route>)> {
        let dialled = self.dialled();
        if dialled.is_empty() {
            return Vec::new();
        }
        let sets = EndpointSets::of(&self.port.endpoints, self.node, self.family);
        let route = |kind| {
            Arc::new(Route {
                port: self.name.clone(),
                kind,
                source_ranges: self.source_ranges(kind),
                action: self.action(kind, &sets),
            })
        };
        let mut made: BTreeMap<FrontendKind, Arc<Route>> = BTreeMap::new();
        let mut of_kind = |kind| Arc::clone(made.entry(kind).or_insert_with(|| route(kind)));
        dialled
            .into_iter()
            .map(|(kind, frontend)| (frontend, of_kind(kind)))
            .collect()
    }

    /// The frontends of this port in this family.
    fn dialled(&self) -> Vec<(FrontendKind, Frontend)> {
        let family = self.family;
        let mut frontends = Vec::new();
        let mut add = |kind, addresses: &[IpAddr], port| {
            let addresses = addresses
                .iter()
                .filter(|address| Family::of(**address) == family);
            frontends
                .extend(addresses.map(|a| (kind, Frontend::new(*a, self.port.protocol, port))));
        };
        add(
            FrontendKind::ClusterIp,
            &self.service.cluster_ips,
            self.port.port,
        );
        add(
            FrontendKind::LoadBalancer,
            &self.service.load_balancer_ips,
            self.port.port,
        );
        add(
            FrontendKind::ExternalIp,
            &self.service.external_ips,
            self.port.port,
        );
        if let Some(node_port) = self.port.node_port {
            add(
                FrontendKind::NodePort,
                &self.node.node_port_addresses,
                node_port,
            );
        }
        frontends
    }

    fn action(&self, kind: FrontendKind, sets: &EndpointSets) -> Action {
        if sets.cluster.is_empty() {
            return Action::Reject;
        }
        match kind {
            FrontendKind::ClusterIp => self.internal(sets),
            _ => self.external(sets),
        }
    }

    fn internal(&self, sets: &EndpointSets) -> Action {
        let targets = match self.service.internal_policy {
            TrafficPolicy::Cluster => &sets.cluster,
            TrafficPolicy::Local => &sets.local,
        };
        if targets.is_empty() {
            return Action::Drop;
        }
        let masquerade = if self.node.masquerade_all {
            Masquerade::Always
        } else if self.detects_local() {
            Masquerade::UnlessLocal
        } else {
            Masquerade::Never
        };
        Action::Deliver(Delivery {
            targets: Arc::clone(targets),
            masquerade,
            outsiders: None,
            affinity_seconds: self.service.affinity_seconds,
        })
    }

    /// With `Local`, a local pod or the node itself still reaches the whole cluster: it has no
    /// client address to lose, and there is no other node to go to.
    fn external(&self, sets: &EndpointSets) -> Action {
        let local = self.service.external_policy == TrafficPolicy::Local;
        Action::Deliver(Delivery {
            targets: Arc::clone(&sets.cluster),
            masquerade: if local {
                Masquerade::UnlessLocal
            } else {
                Masquerade::Always
            },
            outsiders: local.then(|| Arc::clone(&sets.local)),
            affinity_seconds: self.service.affinity_seconds,
        })
    }

    fn detects_local(&self) -> bool {
        self.node
            .local_cidrs
            .iter()
            .any(|cidr| Family::of(cidr.addr()) == self.family)
    }

    /// Only a load balancer's address is guarded. Ranges of the other family leave this one open,
    /// and so does a range that holds everybody.
    fn source_ranges(&self, kind: FrontendKind) -> Option<Vec<IpNet>> {
        let ranges = self.service.source_ranges.iter();
        let mut ranges: Vec<IpNet> = ranges
            .filter(|range| Family::of(range.addr()) == self.family)
            .copied()
            .collect();
        let everybody = ranges.iter().any(|range| range.prefix_len() == 0);
        if kind != FrontendKind::LoadBalancer || ranges.is_empty() || everybody {
            return None;
        }
        // A balancer may bind its address on the node; the node then dials with it as source.
        let is_own = |range: &IpNet| self.node.local_addresses.iter().any(|a| range.contains(a));
        if ranges.iter().any(is_own) {
            let own = self.service.load_balancer_ips.iter();
            let own = own.filter(|address| Family::of(**address) == self.family);
            ranges.extend(own.map(|address| IpNet::from(*address)));
        }
        Some(IpNet::aggregate(&ranges))
    }
}
