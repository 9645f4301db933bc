//! Which slices mirror an Endpoints object: one for each list of ports and family.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort as OldPort, EndpointSubset, Endpoints,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::caches::SERVICE_NAME_LABEL;
use crate::endpoint_slices::SliceChanges;
use crate::endpoint_slices::endpoint::Family;
use crate::endpoint_slices::pack::{PortKey, identity, port_key};
use crate::endpoint_slices::plan::{MANAGED_BY_LABEL, TRIGGER};
use crate::endpoints::repack;
use crate::owner::controller_reference;
use crate::recorder::Note;
use crate::selector::Labels;

/// This controller's name on slices.
pub(super) const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";

/// The most addresses of a subset that are mirrored.
const LIMIT: usize = 1000;

const NOT_COPIED: [&str; 2] = [TRIGGER, "kubectl.kubernetes.io/last-applied-configuration"];

/// Whether an Endpoints object asks for it: neither told not to be mirrored nor used for an election.
pub(super) fn should_mirror(endpoints: &Endpoints) -> bool {
    let meta = &endpoints.metadata;
    let label = meta
        .labels
        .as_ref()
        .and_then(|all| all.get("endpointslice.kubernetes.io/skip-mirror"));
    let elects = meta.annotations.as_ref();
    let elects =
        elects.is_some_and(|all| all.contains_key("control-plane.alpha.kubernetes.io/leader"));
    label.is_none_or(|label| label != "true") && !elects
}

type GroupKey = (Family, PortKey);

struct Group {
    ports: Vec<EndpointPort>,
    endpoints: Vec<Endpoint>,
}

/// Draws up the plan, and what the owner of the object should know.
pub(super) fn plan(
    endpoints: &Endpoints,
    slices: &[Arc<EndpointSlice>],
) -> (SliceChanges, Vec<Note>) {
    let mut counts = Skipped::default();
    let mut groups = BTreeMap::<GroupKey, Group>::new();
    for subset in repack(endpoints.subsets.as_deref().unwrap_or_default()) {
        add_subset(&mut groups, &subset, &mut counts);
    }
    let mut existing = BTreeMap::<GroupKey, Vec<Arc<EndpointSlice>>>::new();
    for slice in slices {
        let family = if slice.address_type == "IPv6" {
            Family::Ipv6
        } else {
            Family::Ipv4
        };
        let key = (family, port_key(slice.ports.as_deref().unwrap_or_default()));
        existing.entry(key).or_default().push(Arc::clone(slice));
    }
    let mut changes = SliceChanges::default();
    for (key, group) in groups {
        let mut existing = existing.remove(&key).unwrap_or_default().into_iter();
        let wanted = slice(endpoints, key.0, group);
        match existing.next() {
            Some(old) if equal(&old, &wanted) => {}
            Some(old) => changes.update.push(in_place_of(&old, wanted)),
            None => changes.create.push(wanted),
        }
        changes.delete.extend(existing);
    }
    changes.delete.extend(existing.into_values().flatten());
    recycle(&mut changes);
    (changes, counts.notes())
}

#[derive(Default)]
struct Skipped {
    invalid: usize,
    too_many: usize,
}

impl Skipped {
    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.invalid > 0 {
            let text = format!(
                "Skipped {} invalid IP addresses when mirroring to EndpointSlices",
                self.invalid
            );
            notes.push(Note::warning("InvalidIPAddress", text));
        }
        if self.too_many > 0 {
            let text = format!(
                "A max of {LIMIT} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were skipped",
                self.too_many + self.invalid
            );
            notes.push(Note::warning("TooManyAddressesToMirror", text));
        }
        notes
    }
}

fn add_subset(
    groups: &mut BTreeMap<GroupKey, Group>,
    subset: &EndpointSubset,
    counts: &mut Skipped,
) {
    let ports: Vec<_> = subset.ports.iter().flatten().map(port).collect();
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
    let mut added = 0;
    for (address, ready) in ready.chain(not_ready) {
        let Ok(ip) = address.ip.parse::<IpAddr>() else {
            counts.invalid += 1;
            continue;
        };
        if added == LIMIT {
            counts.too_many += 1;
            continue;
        }
        added += 1;
        let key = (Family::of(ip), port_key(&ports));
        let blank = || Group {
            ports: ports.clone(),
            endpoints: Vec::new(),
        };
        groups
            .entry(key)
            .or_insert_with(blank)
            .endpoints
            .push(endpoint(address, ip, ready));
    }
}

fn port(old: &OldPort) -> EndpointPort {
    EndpointPort {
        name: Some(old.name.clone().unwrap_or_default()),
        port: Some(old.port),
        protocol: Some(old.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: old.app_protocol.clone(),
    }
}

fn endpoint(address: &EndpointAddress, ip: IpAddr, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            ..EndpointConditions::default()
        }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn slice(endpoints: &Endpoints, family: Family, group: Group) -> EndpointSlice {
    let meta = &endpoints.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let mut labels = meta.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME_LABEL.to_owned(), name.clone());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    let mut annotations = meta.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| !NOT_COPIED.contains(&name.as_str()));
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: meta.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(endpoints)]),
            ..ObjectMeta::default()
        },
        address_type: family.name().to_owned(),
        endpoints: Some(group.endpoints),
        ports: Some(group.ports).filter(|ports| !ports.is_empty()),
    }
}

fn equal(old: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    let by_identity = |slice: &EndpointSlice| -> BTreeMap<_, _> {
        let all = slice.endpoints.iter().flatten();
        all.map(|endpoint| (identity(endpoint), endpoint.clone()))
            .collect()
    };
    let owner = |slice: &EndpointSlice| {
        crate::owner::controller_of(&slice.metadata).map(|owner| owner.uid.clone())
    };
    let filled = |all: &Option<Labels>| all.clone().unwrap_or_default();
    by_identity(old) == by_identity(wanted)
        && filled(&old.metadata.labels) == filled(&wanted.metadata.labels)
        && filled(&old.metadata.annotations) == filled(&wanted.metadata.annotations)
        && owner(old) == owner(wanted)
}

/// The new content under the old name. Upstream leaves `generateName` out here, and so it is lost.
fn in_place_of(old: &EndpointSlice, mut new: EndpointSlice) -> EndpointSlice {
    new.metadata.generate_name = None;
    new.metadata.name.clone_from(&old.metadata.name);
    new.metadata
        .resource_version
        .clone_from(&old.metadata.resource_version);
    new
}

/// A slice to be deleted and one of its family to be made are one to be changed.
fn recycle(changes: &mut SliceChanges) {
    let mut left = Vec::new();
    for old in std::mem::take(&mut changes.delete) {
        let same_family = |new: &EndpointSlice| new.address_type == old.address_type;
        match changes.create.iter().position(same_family) {
            Some(index) => {
                let mut new = changes.create.remove(index);
                new.metadata.name.clone_from(&old.metadata.name);
                new.metadata
                    .resource_version
                    .clone_from(&old.metadata.resource_version);
                changes.update.push(new);
            }
            None => left.push(old),
        }
    }
    changes.delete = left;
}
