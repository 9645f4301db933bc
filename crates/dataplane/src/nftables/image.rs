//! The kernel's state as values: read, compared, described.

use super::elements::{Elements, Entry, Key, frontend_bytes};
use super::maps::{self, Map};
use crate::{Error, Rendered};
use forwarding::{Family, Frontend};
use kernel::nft::{self, Data, Operation};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What was found in the kernel.
pub(super) struct Found {
    /// Every element that follows from a table.
    pub(super) elements: Elements,
    /// The endpoints' numbers that clients are remembered with.
    remembered: Vec<u32>,
}

impl Found {
    /// Every mark that is in use or remembered.
    pub(super) fn marks(&self) -> impl Iterator<Item = u32> {
        let in_elements = self
            .elements
            .iter()
            .filter_map(|(key, data)| match (key.map, data) {
                (Map::StickyPorts, Data::Value(value)) => number(value),
                (Map::StickyTargets | Map::StickyOutsiderTargets, _) => last_number(&key.start),
                _ => None,
            });
        in_elements.chain(self.remembered.iter().copied())
    }

    /// The number of a frontend's Service port.
    pub(super) fn sticky_port(&self, frontend: Frontend) -> Option<u32> {
        match self.elements.get(&at(Map::StickyPorts, frontend))? {
            Data::Value(value) => number(value),
            _ => None,
        }
    }

    /// A frontend's endpoints and their numbers.
    pub(super) fn sticky_targets(&self, frontend: Frontend) -> Vec<(SocketAddr, u32)> {
        let mut targets = Vec::new();
        for map in [Map::StickyTargets, Map::StickyOutsiderTargets] {
            let first = at(map, frontend);
            let of_frontend = self.elements.range(&first..).take_while(|(key, _)| {
                (key.map, key.family) == (first.map, first.family)
                    && key.start.starts_with(&first.start)
            });
            targets.extend(of_frontend.filter_map(|(key, data)| match data {
                Data::Value(value) => Some((socket(value)?, last_number(&key.start)?)),
                _ => None,
            }));
        }
        targets
    }
}

fn at(map: Map, frontend: Frontend) -> Key {
    let family = Family::of(frontend.address);
    Key {
        map,
        family,
        start: frontend_bytes(frontend),
        end: None,
    }
}

/// Reads everything; it is done at start and after a failure, never on the way of a change.
pub(super) fn read(kernel: &mut nft::Elements) -> Result<Found, Error> {
    let mut found = Found {
        elements: Elements::new(),
        remembered: Vec::new(),
    };
    for family in Family::BOTH {
        for map in Map::ALL {
            for element in kernel.dump(map.name(family))? {
                let key = Key {
                    map,
                    family,
                    start: element.key,
                    end: element.key_end,
                };
                found.elements.insert(key, element.data);
            }
        }
        found.remembered.extend(
            kernel
                .dump(maps::clients(family))?
                .iter()
                .filter_map(|client| match &client.data {
                    Data::Value(value) => number(value),
                    _ => None,
                }),
        );
    }
    Ok(found)
}

/// The operations that lead from one state to another: first whatever goes, then what comes.
pub(super) fn difference(old: &Elements, new: &Elements) -> Vec<Operation> {
    let mut operations = Vec::new();
    difference_of(old, new, &mut operations);
    operations
}

/// The same, appended.
pub(super) fn difference_of(old: &Elements, new: &Elements, operations: &mut Vec<Operation>) {
    let entry = |key: &Key, data: &Data| Entry {
        key: key.clone(),
        data: data.clone(),
    };
    let gone = old.iter().filter(|(key, data)| new.get(key) != Some(data));
    operations.extend(gone.map(|(key, data)| entry(key, data).operation(false)));
    let come = new.iter().filter(|(key, data)| old.get(key) != Some(data));
    operations.extend(come.map(|(key, data)| entry(key, data).operation(true)));
}

/// The state in words.
pub(super) fn describe(found: &Found) -> Rendered {
    let mut rendered = Rendered::new();
    for (key, data) in &found.elements {
        let map = rendered
            .entry(key.map.name(key.family).to_owned())
            .or_default();
        map.insert(describe_key(key), describe_data(data));
    }
    rendered
}

fn describe_key(key: &Key) -> String {
    let address_length = if key.family == Family::V4 { 4 } else { 16 };
    let Some((address, rest)) = key.start.split_at_checked(address_length) else {
        return hex(&key.start);
    };
    let Some(address) = address_of(address) else {
        return hex(&key.start);
    };
    let Some((port, suffix)) = rest
        .split_at_checked(8)
        .filter(|_| key.map != Map::Hairpins)
    else {
        return address.to_string();
    };
    let dialled = SocketAddr::new(address, u16::from_be_bytes([port[4], port[5]]));
    let protocol = forwarding::Protocol::from_number(port[0]);
    let protocol = protocol.map_or_else(|| port[0].to_string(), |protocol| protocol.to_string());
    let suffix = match (key.map, &key.end) {
        (Map::Sources, Some(end)) => {
            let ends = end.get(address_length + 8..).and_then(address_of);
            let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
            format!(" from {}-{}", text(address_of(suffix)), text(ends))
        }
        _ => number(suffix)
            .map(|number| format!(" {number:#x}"))
            .unwrap_or_default(),
    };
    format!("{dialled}/{protocol}{suffix}")
}

fn describe_data(data: &Data) -> String {
    match data {
        Data::None => String::new(),
        Data::Goto(chain) => format!("goto {chain}"),
        Data::Accept => "accept".to_owned(),
        Data::Drop => "drop".to_owned(),
        Data::Value(value) => match (socket(value), number(value)) {
            (Some(socket), _) => socket.to_string(),
            (None, Some(number)) => format!("{number:#x}"),
            (None, None) => hex(value),
        },
    }
}

/// An address and a port, as the value of a map.
fn socket(value: &[u8]) -> Option<SocketAddr> {
    let (address, port) = value.split_at_checked(value.len().checked_sub(4)?)?;
    Some(SocketAddr::new(
        address_of(address)?,
        u16::from_be_bytes([port[0], port[1]]),
    ))
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into()))
        .ok()
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

fn last_number(key: &[u8]) -> Option<u32> {
    number(key.get(key.len().checked_sub(4)?..)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
