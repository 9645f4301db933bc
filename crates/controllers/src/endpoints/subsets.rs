//! The canonical form of subsets: one for each set of addresses that serve the same ports
//! (`pkg/api/v1/endpoints/util.go`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset};

/// The most addresses in one Endpoints object.
const CAPACITY: usize = 1000;

/// An address by its text (so 10.1.0.10 comes before 10.1.0.2) and its pod.
type AddressKey = (String, Option<String>);
type PortKey = (Option<String>, i32, Option<String>, Option<String>);
/// Addresses with whether they are ready.
type Addresses = BTreeMap<AddressKey, (EndpointAddress, bool)>;

/// Subsets in canonical form.
pub(crate) fn repack(subsets: &[EndpointSubset]) -> Vec<EndpointSubset> {
    let mut by_port = BTreeMap::<Option<PortKey>, Addresses>::new();
    for subset in subsets {
        let ports = subset.ports.as_deref().unwrap_or_default();
        let keys: Vec<_> = match ports {
            [] => vec![None],
            some => some.iter().map(|port| Some(port_key(port))).collect(),
        };
        for key in keys {
            add(by_port.entry(key).or_default(), subset);
        }
    }
    let mut by_addresses =
        BTreeMap::<Vec<(AddressKey, bool)>, (Addresses, Vec<EndpointPort>)>::new();
    for (port, addresses) in by_port {
        let key = addresses
            .iter()
            .map(|(key, (_, ready))| (key.clone(), *ready))
            .collect();
        let (_, ports) = by_addresses
            .entry(key)
            .or_insert_with(|| (addresses, Vec::new()));
        ports.extend(port.map(port_of));
    }
    let packed = by_addresses.into_values();
    packed
        .map(|(addresses, ports)| subset(addresses, ports))
        .collect()
}

/// An address that is ready and not ready for the same port is not ready.
fn add(to: &mut Addresses, subset: &EndpointSubset) {
    let ready = subset
        .addresses
        .iter()
        .flatten()
        .map(|address| (address, true));
    let not_ready = subset
        .not_ready_addresses
        .iter()
        .flatten()
        .map(|address| (address, false));
    for (address, ready) in ready.chain(not_ready) {
        let uid = address
            .target_ref
            .as_ref()
            .and_then(|target| target.uid.clone());
        let entry = to
            .entry((address.ip.clone(), uid))
            .or_insert_with(|| (address.clone(), ready));
        entry.1 &= ready;
    }
}

fn subset(addresses: Addresses, ports: Vec<EndpointPort>) -> EndpointSubset {
    let (ready, not_ready): (Vec<_>, Vec<_>) =
        addresses.into_values().partition(|(_, ready)| *ready);
    let list = |all: Vec<(EndpointAddress, bool)>| {
        let addresses: Vec<_> = all.into_iter().map(|(address, _)| address).collect();
        Some(addresses).filter(|addresses| !addresses.is_empty())
    };
    EndpointSubset {
        addresses: list(ready),
        not_ready_addresses: list(not_ready),
        ports: Some(ports).filter(|ports| !ports.is_empty()),
    }
}

fn port_key(port: &EndpointPort) -> PortKey {
    (
        port.name.clone(),
        port.port,
        port.protocol.clone(),
        port.app_protocol.clone(),
    )
}

fn port_of((name, port, protocol, app_protocol): PortKey) -> EndpointPort {
    EndpointPort {
        name,
        port,
        protocol,
        app_protocol,
    }
}

/// Cuts to the capacity, those that are not ready first; says whether anything was cut.
pub(super) fn truncate(subsets: &mut [EndpointSubset]) -> bool {
    let mut cut = false;
    let mut room = CAPACITY;
    for pick in [ready as Pick, not_ready] {
        for subset in subsets.iter_mut() {
            let Some(addresses) = pick(subset) else {
                continue;
            };
            cut |= addresses.len() > room;
            addresses.truncate(room);
            room -= addresses.len();
            if addresses.is_empty() {
                clear(subset);
            }
        }
    }
    cut
}

type Pick = fn(&mut EndpointSubset) -> Option<&mut Vec<EndpointAddress>>;

fn ready(subset: &mut EndpointSubset) -> Option<&mut Vec<EndpointAddress>> {
    subset.addresses.as_mut()
}

fn not_ready(subset: &mut EndpointSubset) -> Option<&mut Vec<EndpointAddress>> {
    subset.not_ready_addresses.as_mut()
}

fn clear(subset: &mut EndpointSubset) {
    let filled = |list: &Vec<EndpointAddress>| !list.is_empty();
    subset.addresses = subset.addresses.take().filter(filled);
    subset.not_ready_addresses = subset.not_ready_addresses.take().filter(filled);
}
