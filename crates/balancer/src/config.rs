//! What the balancer is told at its start.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use kube::Client;

/// The balancer's settings.
pub struct Config {
    /// The API that knows the Services and Nodes.
    pub client: Client,
    /// The link to the network of clients and nodes.
    pub interface: String,
    /// The balancer's own addresses on that link, at most one per family: what nodes see as the client
    /// of a translated connection. They stay when everything else goes.
    pub addresses: Vec<IpAddr>,
    /// Only addresses of these ranges are served; all, when there are none.
    pub pools: Vec<IpNet>,
    /// Between two checks of a node.
    pub check_interval: Duration,
    /// How long a node's answer to a check may take.
    pub check_patience: Duration,
    /// Called once, after the first round of rules is in the kernel.
    pub ready: Box<dyn FnOnce() + Send>,
}

impl Config {
    /// Checks every 250 ms, each with 300 ms to be answered: two in a row that fail are noticed within little
    /// more than a second.
    pub fn new(client: Client, interface: impl Into<String>, addresses: Vec<IpAddr>) -> Self {
        Self {
            client,
            interface: interface.into(),
            addresses,
            pools: Vec::new(),
            check_interval: Duration::from_millis(250),
            check_patience: Duration::from_millis(300),
            ready: Box::new(|| ()),
        }
    }
}
