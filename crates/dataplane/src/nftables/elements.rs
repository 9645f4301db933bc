//! What one route looks like in the maps: a pure walk over the finished route.

use super::ids::Ids;
use super::maps::Map;
use super::skeleton::{self, Group};
use forwarding::{Action, Delivery, Family, Frontend, Masquerade, Route, Target};
use ipnet::IpNet;
use kernel::nft::{Data, Element, Operation};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Elements by where they are, so that two states can be compared.
pub(super) type Elements = BTreeMap<Key, Data>;

/// Where an element is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The map.
    pub(super) map: Map,
    /// Its family.
    pub(super) family: Family,
    /// The key, or where an interval starts.
    pub(super) start: Vec<u8>,
    /// Where an interval ends.
    pub(super) end: Option<Vec<u8>>,
}

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it is.
    pub(super) key: Key,
    /// What it leads to.
    pub(super) data: Data,
}

impl Entry {
    /// Adds it, or deletes it.
    pub(super) fn operation(self, present: bool) -> Operation {
        let set = self.key.map.name(self.key.family).into();
        let element = Element {
            key: self.key.start,
            key_end: self.key.end,
            data: self.data,
        };
        match present {
            true => Operation::Add { set, element },
            false => Operation::Delete { set, element },
        }
    }
}

/// The elements of a frontend with this route.
pub(super) fn elements(frontend: Frontend, route: &Route, ids: &Ids) -> Elements {
    let mut out = Writer {
        frontend,
        elements: Elements::new(),
    };
    let verdict = match &route.action {
        Action::Reject => Data::Goto(skeleton::REFUSE.into()),
        Action::Drop => Data::Drop,
        Action::Deliver(delivery) => out.delivery(delivery, route, ids),
    };
    match &route.source_ranges {
        None => out.at_frontend(Map::Frontends, verdict),
        Some(ranges) => {
            ranges.iter().for_each(|range| out.source(range));
            out.at_frontend(Map::Admitted, verdict);
            out.at_frontend(Map::Frontends, Data::Goto(skeleton::GUARD.into()));
        }
    }
    out.elements
}

/// A cluster IP's element.
pub(super) fn cluster_ip(address: IpAddr) -> Entry {
    plain(Map::ClusterIps, address, bytes(address))
}

/// The element by which a connection of a local endpoint to itself is known.
pub(super) fn hairpin(address: IpAddr) -> Entry {
    plain(
        Map::Hairpins,
        address,
        [bytes(address), bytes(address)].concat(),
    )
}

fn plain(map: Map, address: IpAddr, start: Vec<u8>) -> Entry {
    let key = Key {
        map,
        family: Family::of(address),
        start,
        end: None,
    };
    Entry {
        key,
        data: Data::None,
    }
}

/// Gathers the elements of one frontend.
struct Writer {
    frontend: Frontend,
    elements: Elements,
}

impl Writer {
    /// Writes where connections go and says which chain begins it.
    fn delivery(&mut self, delivery: &Delivery, route: &Route, ids: &Ids) -> Data {
        let sticky = delivery.affinity_seconds;
        let group = Group::new(delivery.targets.len(), sticky);
        let port = sticky.map(|_| ids.port(&route.port));
        if let Some(port) = port {
            self.at_frontend(Map::StickyPorts, Data::Value(port.to_ne_bytes().to_vec()));
        }
        let id = |target: &Target| port.map(|_| ids.target(&route.port, target));
        self.targets(&delivery.targets, TARGETS, id);
        if let Some(outsiders) = &delivery.outsiders {
            self.targets(outsiders, OUTSIDERS, id);
            let verdict = match outsiders.len() {
                0 => Data::Drop,
                count => Data::Goto(Group::new(count, sticky).outsiders().into()),
            };
            self.at_frontend(Map::Outsiders, verdict);
            return Data::Goto(group.external_local().into());
        }
        Data::Goto(match delivery.masquerade {
            Masquerade::Never => group.name().into(),
            Masquerade::Always => group.masquerade().into(),
            Masquerade::UnlessLocal => group.unless_local().into(),
        })
    }

    fn targets(
        &mut self,
        targets: &[Target],
        maps: TargetMaps,
        id: impl Fn(&Target) -> Option<u32>,
    ) {
        for (slot, target) in (0_u32..).zip(targets) {
            let value = [bytes(target.address), padded(target.port)].concat();
            match id(target) {
                None => self.at(maps.slots, &slot.to_ne_bytes(), Data::Value(value)),
                Some(id) => {
                    let number = Data::Value(id.to_ne_bytes().to_vec());
                    self.at(maps.sticky_slots, &slot.to_ne_bytes(), number);
                    self.at(maps.sticky_targets, &id.to_ne_bytes(), Data::Value(value));
                }
            }
        }
    }

    fn source(&mut self, range: &IpNet) {
        let prefix = frontend_bytes(self.frontend);
        let key = Key {
            map: Map::Sources,
            family: Family::of(self.frontend.address),
            start: [prefix.clone(), bytes(range.network())].concat(),
            end: Some([prefix, bytes(range.broadcast())].concat()),
        };
        self.elements.insert(key, Data::None);
    }

    fn at_frontend(&mut self, map: Map, data: Data) {
        self.at(map, &[], data);
    }

    fn at(&mut self, map: Map, suffix: &[u8], data: Data) {
        let mut start = frontend_bytes(self.frontend);
        start.extend_from_slice(suffix);
        let family = Family::of(self.frontend.address);
        self.elements.insert(
            Key {
                map,
                family,
                start,
                end: None,
            },
            data,
        );
    }
}

/// The maps that one of the two sets of targets goes into.
#[derive(Clone, Copy)]
struct TargetMaps {
    slots: Map,
    sticky_slots: Map,
    sticky_targets: Map,
}

const TARGETS: TargetMaps = TargetMaps {
    slots: Map::Slots,
    sticky_slots: Map::StickySlots,
    sticky_targets: Map::StickyTargets,
};
const OUTSIDERS: TargetMaps = TargetMaps {
    slots: Map::OutsiderSlots,
    sticky_slots: Map::StickyOutsiderSlots,
    sticky_targets: Map::StickyOutsiderTargets,
};

/// `ip daddr . meta l4proto . th dport`, each part padded to four bytes.
pub(super) fn frontend_bytes(frontend: Frontend) -> Vec<u8> {
    let mut key = bytes(frontend.address);
    key.extend_from_slice(&[frontend.protocol.number(), 0, 0, 0]);
    key.extend_from_slice(&padded(frontend.port));
    key
}

fn padded(port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![high, low, 0, 0]
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
