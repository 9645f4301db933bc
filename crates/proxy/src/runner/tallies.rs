//! What is counted of each Service on this node: for health-check node ports and for metrics. Only
//! Services with a policy `Local` have anything to count, and only one that changed is counted again.

use crate::health::LocalEndpoints;
use forwarding::{EndpointSets, Family, Planner, Service, ServiceName, TrafficPolicy, local_ready};
use std::collections::{BTreeMap, HashMap};

/// The counts of all Services that have any.
#[derive(Default)]
pub(super) struct Tallies {
    services: BTreeMap<ServiceName, Tally>,
    no_local: [NoLocal; 2],
    health_checks_changed: bool,
}

/// Ports of a family that have endpoints but none where the policy allows: on this node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NoLocal {
    /// Under `internalTrafficPolicy: Local`.
    pub(crate) internal: u64,
    /// Under `externalTrafficPolicy: Local`.
    pub(crate) external: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    /// Its health-check node port, and what is said there.
    health_check: Option<(u16, LocalEndpoints)>,
    /// IPv4 and IPv6.
    no_local: [NoLocal; 2],
}

impl Tallies {
    /// Counts one Service (again).
    pub(super) fn count(&mut self, name: &ServiceName, port: Option<u16>, planner: &Planner) {
        let service = planner.service(name);
        let tally = service.map(|service| Tally::of(service, port, planner));
        let tally = tally.filter(|tally| *tally != Tally::default());
        let before = match tally {
            Some(tally) => self.services.insert(name.clone(), tally),
            None => self.services.remove(name),
        };
        let (before, after) = (before.unwrap_or_default(), tally.unwrap_or_default());
        self.health_checks_changed |= before.health_check != after.health_check;
        for (family, total) in self.no_local.iter_mut().enumerate() {
            let (before, after) = (before.no_local[family], after.no_local[family]);
            total.internal = total.internal - before.internal + after.internal;
            total.external = total.external - before.external + after.external;
        }
    }

    /// Counts all again: the node has changed.
    pub(super) fn count_again(&mut self, planner: &Planner) {
        let known: Vec<(ServiceName, Option<u16>)> = planner
            .services()
            .filter(|(_, service)| is_counted(service))
            .map(|(name, _)| {
                let port = self.services.get(name).and_then(|tally| tally.health_check);
                (name.clone(), port.map(|(port, _)| port))
            })
            .collect();
        for (name, port) in known {
            self.count(&name, port, planner);
        }
        // Where the ports are open may have changed, too.
        self.health_checks_changed = true;
    }

    /// How many ports have no local endpoint.
    pub(super) fn no_local(&self) -> [NoLocal; 2] {
        self.no_local
    }

    /// Not all ports could be opened: the next sync tries again.
    pub(super) fn tell_health_checks_again(&mut self) {
        self.health_checks_changed = true;
    }

    /// What every health-check node port says, if that has changed since the last call.
    pub(super) fn changed_health_checks(
        &mut self,
    ) -> Option<HashMap<u16, (ServiceName, LocalEndpoints)>> {
        let of = |(name, tally): (&ServiceName, &Tally)| {
            let (port, local) = tally.health_check?;
            Some((port, (name.clone(), local)))
        };
        std::mem::take(&mut self.health_checks_changed)
            .then(|| self.services.iter().filter_map(of).collect())
    }
}

impl Tally {
    fn of(service: &Service, port: Option<u16>, planner: &Planner) -> Self {
        if !is_counted(service) {
            return Self::default();
        }
        let node = planner.node();
        let local =
            || LocalEndpoints(Family::BOTH.map(|family| local_ready(service, node, family)));
        let mut no_local = [NoLocal::default(); 2];
        for (family, no_local) in Family::BOTH.into_iter().zip(&mut no_local) {
            if !service
                .cluster_ips
                .iter()
                .any(|ip| Family::of(*ip) == family)
            {
                continue;
            }
            for port in &service.ports {
                let sets = EndpointSets::of(&port.endpoints, node, family);
                if sets.cluster.is_empty() || !sets.local.is_empty() {
                    continue;
                }
                no_local.internal += u64::from(service.internal_policy == TrafficPolicy::Local);
                no_local.external += u64::from(service.external_policy == TrafficPolicy::Local);
            }
        }
        Self {
            health_check: port.map(|port| (port, local())),
            no_local,
        }
    }
}

fn is_counted(service: &Service) -> bool {
    let policies = [service.internal_policy, service.external_policy];
    policies.contains(&TrafficPolicy::Local)
}
