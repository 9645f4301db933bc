//! Numbers for Service ports and endpoints under session affinity, as they stand in packet and
//! connection marks. They depend on history, so they are no part of the forwarding table.

use super::image::Found;
use forwarding::{Action, ForwardingTable, PortName, Route, Target};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Set in every number, so that the last chain can tell a mark that is ours from others'.
const OURS: u32 = 1 << 31;
/// The masquerade's own bit, which numbers leave alone.
const MASQUERADE_BIT: u32 = 14;

/// Numbers in use, and the latest. A number is never given twice: a client that is remembered
/// with an old one must not end at a new endpoint.
#[derive(Default)]
pub(super) struct Ids {
    ports: HashMap<PortName, Port>,
    latest: u32,
    /// What the process before called them, until the first table has been numbered.
    former_ports: HashMap<PortName, u32>,
    former_targets: HashMap<(PortName, SocketAddr), u32>,
}

struct Port {
    id: u32,
    /// How many frontends have it.
    uses: usize,
    targets: HashMap<SocketAddr, Counted>,
}

struct Counted {
    id: u32,
    uses: usize,
}

impl Ids {
    /// Goes on with the numbers that are found in the kernel, so that clients stay where they are.
    pub(super) fn adopt(found: &Found, table: &ForwardingTable) -> Self {
        let mut ids = Self {
            latest: found.marks().map(index).max().unwrap_or(0),
            ..Self::default()
        };
        for (frontend, route) in &table.frontends {
            if sticky_targets(route).is_none() {
                continue;
            }
            if let Some(id) = found.sticky_port(*frontend)
                && !ids
                    .former_ports
                    .iter()
                    .any(|(name, other)| *other == id && *name != route.port)
            {
                ids.former_ports.insert(route.port.clone(), id);
            }
            for (socket, id) in found.sticky_targets(*frontend) {
                ids.former_targets.insert((route.port.clone(), socket), id);
            }
        }
        ids
    }

    /// The first table has been numbered: from now on nothing gets a former number.
    pub(super) fn forget_former(&mut self) {
        self.former_ports.clear();
        self.former_targets.clear();
    }

    /// The number of a Service port that has been acquired.
    pub(super) fn port(&self, name: &PortName) -> u32 {
        self.ports
            .get(name)
            .expect("a route's port is acquired before it is rendered")
            .id
    }

    /// The number of an endpoint that has been acquired.
    pub(super) fn target(&self, name: &PortName, target: &Target) -> u32 {
        let port = self
            .ports
            .get(name)
            .expect("a route's port is acquired before it is rendered");
        let counted = port.targets.get(&target.socket());
        counted
            .expect("a route's targets are acquired before it is rendered")
            .id
    }

    /// Numbers whatever a route needs numbers for.
    pub(super) fn acquire(&mut self, route: &Route) {
        let Some(targets) = sticky_targets(route) else {
            return;
        };
        let latest = &mut self.latest;
        let port = self.ports.entry(route.port.clone()).or_insert_with(|| {
            let former = self.former_ports.get(&route.port).copied();
            Port {
                id: former.unwrap_or_else(|| next(latest)),
                uses: 0,
                targets: HashMap::new(),
            }
        });
        port.uses += 1;
        for target in targets {
            let socket = target.socket();
            let counted = port.targets.entry(socket).or_insert_with(|| {
                let former = self
                    .former_targets
                    .get(&(route.port.clone(), socket))
                    .copied();
                Counted {
                    id: former.unwrap_or_else(|| next(latest)),
                    uses: 0,
                }
            });
            counted.uses += 1;
        }
    }

    /// Forgets what only this route had numbers for.
    pub(super) fn release(&mut self, route: &Route) {
        let Some(targets) = sticky_targets(route) else {
            return;
        };
        let Some(port) = self.ports.get_mut(&route.port) else {
            return;
        };
        for target in targets {
            if let Some(counted) = port.targets.get_mut(&target.socket()) {
                counted.uses -= 1;
                if counted.uses == 0 {
                    port.targets.remove(&target.socket());
                }
            }
        }
        port.uses -= 1;
        if port.uses == 0 {
            self.ports.remove(&route.port);
        }
    }
}

/// Whatever a route leads to under session affinity; `None` without.
fn sticky_targets(route: &Route) -> Option<impl Iterator<Item = &Target>> {
    match &route.action {
        Action::Deliver(delivery) if delivery.affinity_seconds.is_some() => {
            let outsiders = delivery.outsiders.iter().flat_map(|targets| targets.iter());
            Some(delivery.targets.iter().chain(outsiders))
        }
        _ => None,
    }
}

fn next(latest: &mut u32) -> u32 {
    *latest += 1;
    mark(*latest)
}

/// The nth number as a mark: the bits from the masquerade's on are shifted past it.
fn mark(index: u32) -> u32 {
    let low = (1 << MASQUERADE_BIT) - 1;
    OURS | (index & low) | (index & !low) << 1
}

/// The inverse of [`mark`].
fn index(mark: u32) -> u32 {
    let (mark, low) = (mark & !OURS, (1 << MASQUERADE_BIT) - 1);
    (mark & low) | (mark & !low) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_leave_the_masquerade_bit_alone_and_can_be_undone() {
        for number in [1, 2, 0x3fff, 0x4000, 0x4001, 0x7fff, 0x8000, 0x1fff_ffff] {
            assert_eq!(mark(number) & 0x4000, 0, "{number:#x}");
            assert_eq!(mark(number) & OURS, OURS, "{number:#x}");
            assert_eq!(index(mark(number)), number);
        }
    }
}
