//! What comes out: for each frontend, what is done with a new connection to it.

use crate::model::{Frontend, PortName};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The finished table of one node. The same snapshot yields the same table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardingTable {
    /// What holds for the node as a whole.
    pub node: NodeRules,
    /// Every cluster IP: a port that is no frontend is refused there.
    pub cluster_ips: BTreeSet<IpAddr>,
    /// Every address and port that is captured.
    pub frontends: BTreeMap<Frontend, Arc<Route>>,
}

/// What holds for the node as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeRules {
    /// The node's own addresses.
    pub local_addresses: Vec<IpAddr>,
    /// Sources that count as local pods, disjoint and sorted.
    pub local_cidrs: Vec<IpNet>,
    /// The ranges of cluster IPs, disjoint and sorted.
    pub service_cidrs: Vec<IpNet>,
}

/// What is done with new connections to one frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The Service port that it belongs to.
    pub port: PortName,
    /// What kind of address the frontend has.
    pub kind: FrontendKind,
    /// The only sources that may come in; `None` lets everybody in. Disjoint and sorted.
    pub source_ranges: Option<Vec<IpNet>>,
    /// What happens to those that may.
    pub action: Action,
}

/// What kind of address a frontend has. The order is the order of precedence where several
/// Services claim the same address and port: an exact address beats a node port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrontendKind {
    /// `spec.clusterIPs`.
    ClusterIp,
    /// `status.loadBalancer`.
    LoadBalancer,
    /// `spec.externalIPs`.
    ExternalIp,
    /// An address of this node.
    NodePort,
}

/// What happens to a new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Refused, so that the client knows at once: no endpoint anywhere.
    Reject,
    /// Dropped in silence: only local endpoints may serve, and there is none on this node.
    Drop,
    /// Sent to an endpoint.
    Deliver(Delivery),
}

/// Where connections go, and with which source address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// One of these serves, each as likely as the other. Sorted, without duplicates, never empty.
    pub targets: Arc<[Target]>,
    /// Whether the client's address is replaced by the node's on the way to `targets`.
    pub masquerade: Masquerade,
    /// With `externalTrafficPolicy: Local`, those that serve a client from outside (neither a
    /// local pod nor this node), with its address kept. Empty: such a client is dropped.
    pub outsiders: Option<Arc<[Target]>>,
    /// Seconds for which a client keeps its endpoint, across all frontends of the port.
    pub affinity_seconds: Option<u32>,
}

/// When the client's address is replaced by the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Masquerade {
    /// Never.
    Never,
    /// Always.
    Always,
    /// Unless the source counts as a local pod.
    UnlessLocal,
}

/// An endpoint that may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The endpoint's address.
    pub address: IpAddr,
    /// The endpoint's port.
    pub port: u16,
    /// It runs on this node, and so could dial itself through the Service (hairpin).
    pub local: bool,
}

impl Target {
    /// Its address and port.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}
