//! Snapshot to table, one Service at a time: a change costs what changed, not what exists.

use crate::diff::Change;
use crate::model::{Frontend, ServiceName};
use crate::snapshot::{Node, Service, Snapshot};
use crate::table::{ForwardingTable, NodeRules, Route};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

mod routes;

/// The table of a snapshot.
pub fn build(snapshot: &Snapshot) -> ForwardingTable {
    let mut planner = Planner::new(snapshot.node.clone());
    for (name, service) in &snapshot.services {
        planner.set_service(name, Some(service.clone()));
    }
    planner.table
}

/// A table and what it was made from, kept in step as Services and the node change.
#[derive(Debug, Default)]
pub struct Planner {
    node: Node,
    table: ForwardingTable,
    services: BTreeMap<ServiceName, Planned>,
    /// Every Service that wants a frontend; the one that comes first in the order of kinds and
    /// names has it.
    claims: HashMap<Frontend, Vec<Arc<Route>>>,
    /// How many Services have each cluster IP: for a moment there can be two.
    cluster_ips: HashMap<IpAddr, usize>,
}

/// One Service as last seen, and the routes that follow from it.
#[derive(Debug, Default)]
struct Planned {
    service: Service,
    routes: BTreeMap<Frontend, Arc<Route>>,
}

impl Planner {
    /// A table without Services, on this node.
    pub fn new(node: Node) -> Self {
        let table = ForwardingTable {
            node: rules_of(&node),
            ..ForwardingTable::default()
        };
        Self {
            node,
            table,
            ..Self::default()
        }
    }

    /// The table as it stands.
    pub fn table(&self) -> &ForwardingTable {
        &self.table
    }

    /// The node as it stands.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// A Service as last seen.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name).map(|planned| &planned.service)
    }

    /// Every Service as last seen.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceName, &Service)> {
        self.services
            .iter()
            .map(|(name, planned)| (name, &planned.service))
    }

    /// Takes over a new state of one Service (`None`: it is gone) and says what changed.
    pub fn set_service(&mut self, name: &ServiceName, service: Option<Service>) -> Vec<Change> {
        if service.is_some() && service.as_ref() == self.service(name) {
            return Vec::new();
        }
        let before = self.services.remove(name).unwrap_or_default();
        let Some(service) = service else {
            return self.replace(&before, &Planned::default());
        };
        let routes = routes::of_service(name, &service, &self.node);
        let after = Planned { service, routes };
        let changes = self.replace(&before, &after);
        self.services.insert(name.clone(), after);
        changes
    }

    /// Takes over a new state of the node, on which every route may depend.
    pub fn set_node(&mut self, node: Node) -> Vec<Change> {
        if node == self.node {
            return Vec::new();
        }
        self.node = node;
        let mut changes = Vec::new();
        let rules = rules_of(&self.node);
        if rules != self.table.node {
            self.table.node = rules.clone();
            changes.push(Change::Node(rules));
        }
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        for name in names {
            let before = self.services.remove(&name).unwrap_or_default();
            let routes = routes::of_service(&name, &before.service, &self.node);
            let after = Planned {
                service: before.service.clone(),
                routes,
            };
            changes.extend(self.replace(&before, &after));
            self.services.insert(name, after);
        }
        changes
    }

    fn replace(&mut self, before: &Planned, after: &Planned) -> Vec<Change> {
        let mut changes = Vec::new();
        let frontends: BTreeSet<&Frontend> =
            before.routes.keys().chain(after.routes.keys()).collect();
        for frontend in frontends {
            let (old, new) = (before.routes.get(frontend), after.routes.get(frontend));
            if old != new {
                changes.extend(self.claim(*frontend, old, new));
            }
        }
        self.count_cluster_ips(&before.service, &after.service, &mut changes);
        changes
    }

    /// Withdraws `old` from the claims to a frontend, adds `new`, and lets the first win.
    fn claim(
        &mut self,
        frontend: Frontend,
        old: Option<&Arc<Route>>,
        new: Option<&Arc<Route>>,
    ) -> Option<Change> {
        let claims = self.claims.entry(frontend).or_default();
        if let Some(old) = old {
            claims.retain(|claim| claim.port.service != old.port.service);
        }
        claims.extend(new.cloned());
        let winner = claims
            .iter()
            .min_by_key(|route| (route.kind, &route.port))
            .cloned();
        if claims.is_empty() {
            self.claims.remove(&frontend);
        }
        let before = match &winner {
            Some(route) => self.table.frontends.insert(frontend, Arc::clone(route)),
            None => self.table.frontends.remove(&frontend),
        };
        (before != winner).then_some(Change::Frontend {
            frontend,
            before,
            after: winner,
        })
    }

    fn count_cluster_ips(&mut self, before: &Service, after: &Service, changes: &mut Vec<Change>) {
        for address in &after.cluster_ips {
            let count = self.cluster_ips.entry(*address).or_default();
            *count += 1;
            if *count == 1 {
                self.table.cluster_ips.insert(*address);
                changes.push(Change::ClusterIp {
                    address: *address,
                    present: true,
                });
            }
        }
        for address in &before.cluster_ips {
            let count = self.cluster_ips.entry(*address).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.cluster_ips.remove(address);
                self.table.cluster_ips.remove(address);
                changes.push(Change::ClusterIp {
                    address: *address,
                    present: false,
                });
            }
        }
    }
}

fn rules_of(node: &Node) -> NodeRules {
    let mut local_addresses = node.local_addresses.clone();
    local_addresses.sort_unstable();
    local_addresses.dedup();
    NodeRules {
        local_addresses,
        local_cidrs: IpNet::aggregate(&node.local_cidrs),
        service_cidrs: IpNet::aggregate(&node.service_cidrs),
    }
}

#[cfg(test)]
mod tests;
