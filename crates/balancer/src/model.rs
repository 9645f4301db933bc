//! The balancer's words: frontends that clients dial, nodes that take their connections.

use std::net::IpAddr;

use ipnet::IpNet;

/// A transport protocol, with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// SCTP.
    Sctp = 132,
}

/// An address and port that clients dial, and how its connections reach the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// `namespace/name` of the Service.
    pub service: String,
    /// One of its load-balancer addresses.
    pub address: IpAddr,
    /// The Service's port.
    pub port: u16,
    /// Of the port.
    pub protocol: Protocol,
    /// How its packets get to a node.
    pub way: Way,
    /// Who may dial; empty is everybody. Checked here because the client's address is lost afterwards.
    pub source_ranges: Vec<IpNet>,
    /// How a node shows that it takes connections.
    pub check: Check,
    /// Whether a client's connections stay together on one node.
    pub affinity: bool,
}

/// How a frontend's packets get to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Destination and source are rewritten, to this port of the node and to the balancer's own address.
    /// Works with every proxy on every network; the client's address is lost.
    Translate {
        /// The Service's port on every node.
        node_port: u16,
    },
    /// The packet goes to the node as it is, and the answer straight to the client. The node's proxy captures
    /// the load balancer's address. Needs one layer-2 network.
    HandOver,
}

/// How a node shows that it takes connections of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Its proxy is healthy (`:10256/healthz`).
    Proxy,
    /// It has a ready pod of the Service: the health-check node port of `externalTrafficPolicy: Local`.
    Port(u16),
}

/// A node that takes connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its name; its place in every ring follows from it.
    pub name: String,
    /// Its InternalIPs.
    pub addresses: Vec<IpAddr>,
    /// It is about to go, or excluded by its label: no new connections, but it keeps those it has.
    pub leaving: bool,
}

/// Everything the balancer knows from the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// In the order of their addresses and ports.
    pub frontends: Vec<Frontend>,
    /// In the order of their names.
    pub nodes: Vec<Node>,
}
