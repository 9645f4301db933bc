//! Connections of UDP that lead to an endpoint that is gone are forgotten, so that a client that
//! never changes its port (DNS, say) is not sent there for as long as it keeps sending. TCP notices
//! by itself, once it is connected; but a client that is just connecting when the endpoint's node dies
//! would try that endpoint again and again. So what nobody has answered yet is forgotten too, and the
//! next try finds another endpoint (`design/0002-when-a-node-loses-its-connections.md`).

use forwarding::{Family, Planner, Protocol, Service, ServiceName, ServicePort};
use kernel::conntrack::{Connection, Conntrack};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// What is to be cleaned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    udp: Leads,
    tcp: Leads,
}

/// Where each port of some Services may lead: its endpoints that serve.
#[derive(Debug, Default, PartialEq, Eq)]
struct Leads {
    addresses: HashMap<SocketAddr, Arc<HashSet<SocketAddr>>>,
    /// A node port counts on any address: which are this node's may have changed since.
    node_ports: HashMap<(Family, u16), Arc<HashSet<SocketAddr>>>,
}

/// What is to be cleaned after the endpoints of the Services `changed`, and some of those of the Services
/// `lost` went; `None` for nothing. A port without any serving endpoint of a family is left alone in that
/// family until it has one.
pub(crate) fn plan<'a>(
    planner: &Planner,
    changed: impl Iterator<Item = &'a ServiceName>,
    lost: impl Iterator<Item = &'a ServiceName>,
) -> Option<Plan> {
    let plan = Plan {
        udp: Leads::of(planner, changed, Protocol::Udp),
        tcp: Leads::of(planner, lost, Protocol::Tcp),
    };
    (plan != Plan::default()).then_some(plan)
}

/// Whether an endpoint that served a TCP port before does so no more. Lists of connections are long, so they
/// are looked through only then.
pub(crate) fn loses_endpoints(before: Option<&Service>, after: Option<&Service>) -> bool {
    let serving = |service: Option<&Service>| -> HashSet<(u16, SocketAddr)> {
        let ports = service.into_iter().flat_map(|service| &service.ports);
        let ports = ports.filter(|port| port.protocol == Protocol::Tcp);
        ports
            .flat_map(|port| {
                let endpoints = port.endpoints.iter().filter(|endpoint| endpoint.serving);
                endpoints.map(|e| (port.port, SocketAddr::new(e.address, e.port)))
            })
            .collect()
    };
    !serving(before).is_subset(&serving(after))
}

impl Leads {
    fn of<'a>(
        planner: &Planner,
        names: impl Iterator<Item = &'a ServiceName>,
        protocol: Protocol,
    ) -> Self {
        let mut leads = Self::default();
        for service in names.filter_map(|name| planner.service(name)) {
            let ports = service.ports.iter();
            for port in ports.filter(|port| port.protocol == protocol) {
                for family in Family::BOTH {
                    leads.add(service, port, family);
                }
            }
        }
        leads
    }

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
}

impl Plan {
    /// Forgets every stale connection and says how many there were, IPv4 and IPv6.
    pub(crate) fn carry_out(&self) -> std::io::Result<[u64; 2]> {
        let mut conntrack = Conntrack::open()?;
        let mut deleted = [0; 2];
        for (leads, protocol) in [(&self.udp, Protocol::Udp), (&self.tcp, Protocol::Tcp)] {
            if *leads == Leads::default() {
                continue;
            }
            let connections = conntrack.connections(protocol.number())?.into_iter();
            let may_go = |c: &Connection| protocol == Protocol::Udp || !c.answered;
            for connection in connections.filter(|c| may_go(c) && leads.is_stale(c)) {
                if conntrack.delete(&connection)? {
                    deleted[usize::from(connection.original.destination.is_ipv6())] += 1;
                }
            }
        }
        Ok(deleted)
    }
}
