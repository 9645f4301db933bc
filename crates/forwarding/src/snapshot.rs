//! What goes in: services, their endpoints and this node, as plain values.

use crate::model::{Protocol, ServiceName};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything that the table of one node depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The node that forwards.
    pub node: Node,
    /// The Services that are to be forwarded at all: none that is headless, an alias or another
    /// proxy's.
    pub services: BTreeMap<ServiceName, Service>,
}

/// The node that forwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The Node's name: an endpoint is local when it names this node.
    pub name: Arc<str>,
    /// The Node's zone, when it has one; without it no endpoint is chosen by zone.
    pub zone: Option<Arc<str>>,
    /// Where node ports are open.
    pub node_port_addresses: Vec<IpAddr>,
    /// Every address of this node: traffic from them is the node's own.
    pub local_addresses: Vec<IpAddr>,
    /// Sources that count as local pods. A family without any is one in which pods cannot be told
    /// from strangers ("detect local" is unavailable).
    pub local_cidrs: Vec<IpNet>,
    /// Masquerade whatever goes to a cluster IP.
    pub masquerade_all: bool,
    /// The ranges that cluster IPs come from; an unused address in them answers nothing.
    pub service_cidrs: Vec<IpNet>,
}

/// One Service, with its endpoints already joined to its ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// `spec.clusterIPs`.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// Addresses in `status.loadBalancer` that are to be captured (an `ip`, and `ipMode` not `Proxy`).
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges`; they guard the load balancer's addresses only.
    pub source_ranges: Vec<IpNet>,
    /// `spec.internalTrafficPolicy`.
    pub internal_policy: TrafficPolicy,
    /// `spec.externalTrafficPolicy`.
    pub external_policy: TrafficPolicy,
    /// Seconds for which a client keeps its endpoint, when `spec.sessionAffinity` is `ClientIP`.
    pub affinity_seconds: Option<u32>,
    /// The ports.
    pub ports: Vec<ServicePort>,
}

/// Which endpoints may answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Those of the whole cluster.
    #[default]
    Cluster,
    /// Those on this node.
    Local,
}

/// One port of a Service and the endpoints behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// The port's name, empty when it has none.
    pub name: Arc<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port that clients dial on the Service's addresses.
    pub port: u16,
    /// The port that is open on every node, if any.
    pub node_port: Option<u16>,
    /// Who serves, in both families.
    pub endpoints: Vec<Endpoint>,
}

/// One address and port that may serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The pod's address.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
    /// It may be given new connections.
    pub ready: bool,
    /// It answers, even if it is about to go.
    pub serving: bool,
    /// It is about to go.
    pub terminating: bool,
    /// The node it runs on.
    pub node: Option<Arc<str>>,
    /// Zones that are told to use it; empty for no hint.
    pub zone_hints: Vec<Arc<str>>,
    /// Nodes that are told to use it; empty for no hint.
    pub node_hints: Vec<Arc<str>>,
}

impl Endpoint {
    /// A ready endpoint without node or hints.
    pub fn ready(address: IpAddr, port: u16) -> Self {
        Self {
            address,
            port,
            ready: true,
            serving: true,
            terminating: false,
            node: None,
            zone_hints: Vec::new(),
            node_hints: Vec::new(),
        }
    }

    /// Whether it runs on this node.
    pub fn is_on(&self, node: &Node) -> bool {
        self.node.as_deref() == Some(&*node.name)
    }
}
