//! Connections of UDP that lead to an endpoint that is gone are forgotten, so that a client that
//! never changes its port (DNS, say) is not sent there for as long as it keeps sending. TCP notices
//! by itself.

use forwarding::{Family, Planner, Protocol, Service, ServiceName, ServicePort};
use kernel::conntrack::{Connection, Conntrack};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Where each UDP port of some Services may lead: its endpoints that serve.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    addresses: HashMap<SocketAddr, Arc<HashSet<SocketAddr>>>,
    /// A node port counts on any address: which are this node's may have changed since.
    node_ports: HashMap<(Family, u16), Arc<HashSet<SocketAddr>>>,
}

/// What is to be cleaned after the endpoints of these Services changed; `None` for nothing. A
/// port without any serving endpoint of a family is left alone in that family until it has one.
pub(crate) fn plan<'a>(
    planner: &Planner,
    names: impl Iterator<Item = &'a ServiceName>,
) -> Option<Plan> {
    let mut plan = Plan::default();
    for service in names.filter_map(|name| planner.service(name)) {
        let ports = service.ports.iter();
        for port in ports.filter(|port| port.protocol == Protocol::Udp) {
            for family in Family::BOTH {
                plan.add(service, port, family);
            }
        }
    }
    (!plan.addresses.is_empty() || !plan.node_ports.is_empty()).then_some(plan)
}

impl Plan {
    fn add(&mut self, service: &Service, port: &ServicePort, family: Family) {
        let endpoints = port.endpoints.iter();
        let serving: HashSet<SocketAddr> = endpoints
            .filter(|endpoint| endpoint.serving && Family::of(endpoint.address) == family)
            .map(|endpoint| SocketAddr::new(endpoint.address, endpoint.port))
            .collect();
        if serving.is_empty() {
            return;
        }
        let serving = Arc::new(serving);
        let addresses = service.cluster_ips.iter();
        let addresses = addresses.chain(&service.external_ips);
        let addresses = addresses.chain(&service.load_balancer_ips);
        for address in addresses.filter(|address| Family::of(**address) == family) {
            let dialled = SocketAddr::new(*address, port.port);
            self.addresses.insert(dialled, Arc::clone(&serving));
        }
        if let Some(node_port) = port.node_port {
            self.node_ports.insert((family, node_port), serving);
        }
    }

    /// Whether a connection leads to an endpoint that does not serve what was dialled.
    fn is_stale(&self, connection: &Connection) -> bool {
        let dialled = connection.original.destination;
        let serving = self.addresses.get(&dialled).or_else(|| {
            self.node_ports
                .get(&(Family::of(dialled.ip()), dialled.port()))
        });
        serving.is_some_and(|serving| !serving.contains(&connection.reply.source))
    }

    /// Forgets every stale connection and says how many there were, IPv4 and IPv6.
    pub(crate) fn carry_out(&self) -> std::io::Result<[u64; 2]> {
        let mut conntrack = Conntrack::open()?;
        let mut deleted = [0; 2];
        for connection in conntrack.connections(Protocol::Udp.number())? {
            if self.is_stale(&connection) && conntrack.delete(&connection)? {
                deleted[usize::from(connection.original.destination.is_ipv6())] += 1;
            }
        }
        Ok(deleted)
    }
}
