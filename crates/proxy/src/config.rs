//! What the proxy is told at its start.

use ipnet::IpNet;
use kube::Client;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The proxy's settings.
pub struct Config {
    /// The API that knows the Services.
    pub client: Client,
    /// The name of the Node that this is: endpoints that name it are local.
    pub node_name: String,
    /// The ranges of the cluster's pods. Traffic to a cluster IP from elsewhere is masqueraded; a
    /// family without a range is one whose pods cannot be told from strangers.
    pub cluster_cidrs: Vec<IpNet>,
    /// Where node ports are open.
    pub node_port_addresses: NodePortAddresses,
    /// Masquerade whatever goes to a cluster IP.
    pub masquerade_all: bool,
    /// Where `/healthz` and `/livez` are served, if at all.
    pub healthz: Option<SocketAddr>,
    /// Where `/metrics` and `/proxyMode` are served, if at all.
    pub metrics: Option<SocketAddr>,
    /// Called once, when everything that was there at the start is in the kernel.
    pub ready: Box<dyn FnOnce() + Send>,
}

/// Where node ports are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// At the Node's own address, one per family: kube-proxy's default with nftables.
    #[default]
    Primary,
    /// At the node's addresses in these ranges. A family without a range has them all.
    Within(Vec<IpNet>),
}

impl Config {
    /// kube-proxy's defaults.
    pub fn new(client: Client, node_name: &str) -> Self {
        Self {
            client,
            node_name: node_name.to_owned(),
            cluster_cidrs: Vec::new(),
            node_port_addresses: NodePortAddresses::Primary,
            masquerade_all: false,
            healthz: Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 10256)),
            metrics: Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 10249)),
            ready: Box::new(|| ()),
        }
    }
}

impl NodePortAddresses {
    /// The addresses to open node ports at, of a node with these.
    pub(crate) fn choose(&self, primary: &[IpAddr], local: &[IpAddr]) -> Vec<IpAddr> {
        let NodePortAddresses::Within(ranges) = self else {
            return primary.to_vec();
        };
        let holds = |address: &&IpAddr| {
            let mut of_family = ranges
                .iter()
                .filter(|range| range.addr().is_ipv4() == address.is_ipv4())
                .peekable();
            of_family.peek().is_none() || of_family.any(|range| range.contains(*address))
        };
        // A node port on a loopback address would need the kernel to route martians.
        local
            .iter()
            .filter(|address| !address.is_loopback())
            .filter(holds)
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ports_are_at_the_addresses_that_were_asked_for() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let local = [
            ip("127.0.0.1"),
            ip("192.0.2.1"),
            ip("10.0.0.1"),
            ip("2001:db8::1"),
        ];
        let primary = [ip("192.0.2.1")];
        assert_eq!(NodePortAddresses::Primary.choose(&primary, &local), primary);
        let within = NodePortAddresses::Within(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(
            within.choose(&primary, &local),
            [ip("10.0.0.1"), ip("2001:db8::1")]
        );
    }
}
