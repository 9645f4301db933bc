//! Which slices a Service is to have (`k8s.io/endpointslice/reconciler.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::caches::SERVICE_NAME_LABEL;
use crate::endpoint_slices::endpoint::{Family, endpoint, families, ports};
use crate::endpoint_slices::hints::{self, Distribution, distribution};
use crate::endpoint_slices::pack::{Endpoints, Packed, PortKey, identity, pack, port_key};
use crate::endpoint_slices::topology::{self, Shares};
use crate::owner::controller_reference;
use crate::pods::is_terminal;
use crate::recorder::Note;
use crate::selector::Labels;
use crate::services::{addresses, has_cluster_ip, publishes_not_ready};

/// Says whose slice it is.
pub(crate) const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// This controller's name in that label.
pub(super) const MANAGER: &str = "endpointslice-controller.k8s.io";
/// On what belongs to a Service without a cluster IP.
pub(crate) const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// The oldest change behind a write.
pub(crate) const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What a plan is drawn up from.
pub(super) struct World<'a> {
    pub(super) service: &'a Service,
    /// The pods that the Service selects.
    pub(super) pods: &'a [Arc<Pod>],
    /// The slices of the Service that this controller manages.
    pub(super) slices: &'a [Arc<EndpointSlice>],
    pub(super) nodes: &'a BTreeMap<String, Arc<Node>>,
    pub(super) shares: &'a Shares,
    /// When the oldest change behind this look happened.
    pub(super) trigger: Option<String>,
}

/// The changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<EndpointSlice>,
    pub(super) update: Vec<EndpointSlice>,
    pub(super) delete: Vec<Arc<EndpointSlice>>,
    pub(super) notes: Vec<Note>,
    /// Pods that had to be left out, in words.
    pub(super) problems: Vec<String>,
}

/// Draws up the plan.
pub(super) fn plan(world: &World<'_>) -> Plan {
    let wanted = families(world.service);
    let mut plan = Plan::default();
    for family in &wanted {
        plan.add_family(world, *family);
    }
    let of_wanted = |slice: &EndpointSlice| {
        wanted
            .iter()
            .any(|family| family.name() == slice.address_type)
    };
    let others = world.slices.iter().filter(|slice| !of_wanted(slice));
    plan.delete.extend(others.cloned());
    for slice in plan.create.iter_mut().chain(&mut plan.update) {
        set_trigger(&mut slice.metadata, world.trigger.as_ref());
    }
    if world.service.metadata.deletion_timestamp.is_some() {
        // Or it would race with the garbage collector, which deletes what this makes.
        plan.create.clear();
    }
    plan
}

/// Notes the trigger on an object that is written, or that there is no newer one.
pub(crate) fn set_trigger(meta: &mut ObjectMeta, trigger: Option<&String>) {
    let annotations = meta.annotations.get_or_insert_with(BTreeMap::new);
    match trigger {
        Some(trigger) => annotations.insert(TRIGGER.to_owned(), trigger.clone()),
        None => annotations.remove(TRIGGER),
    };
}

impl Plan {
    fn add_family(&mut self, world: &World<'_>, family: Family) {
        let of_family = world
            .slices
            .iter()
            .filter(|slice| slice.address_type == family.name());
        let (own, foreign): (Vec<_>, Vec<_>) = of_family
            .cloned()
            .partition(|slice| is_owned(slice, world.service));
        let had_hints = own.iter().any(|slice| has_hints(slice));
        let count = own.len() + foreign.len();
        let mut packed = self.pack_groups(world, family, own);
        packed.delete.extend(foreign);
        if packed.delete.len() == count && packed.create.is_empty() {
            add_placeholder(&mut packed, world.service, family);
        }
        self.hint(world, family, &mut packed, had_hints);
        recycle(&mut packed, world.service);
        self.create.append(&mut packed.create);
        self.update.append(&mut packed.update);
        self.delete.append(&mut packed.delete);
    }

    /// One group of slices for each list of ports.
    fn pack_groups(
        &mut self,
        world: &World<'_>,
        family: Family,
        own: Vec<Arc<EndpointSlice>>,
    ) -> Packed {
        let mut existing = BTreeMap::<PortKey, Vec<Arc<EndpointSlice>>>::new();
        for slice in own {
            let key = port_key(slice.ports.as_deref().unwrap_or_default());
            existing.entry(key).or_default().push(slice);
        }
        let mut packed = Packed::default();
        for (key, (ports, wanted)) in self.groups(world, family) {
            let existing = existing.remove(&key).unwrap_or_default();
            let relabel = |slice: &mut EndpointSlice| relabel(slice, world.service);
            let blank = || blank(world.service, family, &ports);
            let mut group = pack(&existing, wanted, relabel, blank);
            packed.create.append(&mut group.create);
            packed.update.append(&mut group.update);
            packed.delete.append(&mut group.delete);
            packed.unchanged.append(&mut group.unchanged);
        }
        packed.delete.extend(existing.into_values().flatten());
        packed
    }

    fn groups(
        &mut self,
        world: &World<'_>,
        family: Family,
    ) -> BTreeMap<PortKey, (Vec<EndpointPort>, Endpoints)> {
        let mut groups = BTreeMap::<PortKey, (Vec<EndpointPort>, Endpoints)>::new();
        for pod in world.pods.iter().filter(|pod| has_place(pod)) {
            let ports = ports(world.service, pod);
            let (_, group) = groups
                .entry(port_key(&ports))
                .or_insert_with(|| (ports, Endpoints::new()));
            let name = crate::pods::node(pod);
            let node = world.nodes.get(name);
            if node.is_none() && !publishes_not_ready(world.service) {
                self.problems.push(missing_node(pod, world.service, name));
                continue;
            }
            if let Some(endpoint) = endpoint(pod, node.map(AsRef::as_ref), world.service, family) {
                group.insert(identity(&endpoint), endpoint);
            }
        }
        groups
    }

    fn hint(&mut self, world: &World<'_>, family: Family, packed: &mut Packed, had_hints: bool) {
        match distribution(world.service) {
            Distribution::Auto => {
                self.notes
                    .extend(topology::hint(packed, world.shares, family, had_hints));
            }
            Distribution::Close { node } => hints::hint_close(packed, node),
            Distribution::Anywhere => hints::remove(packed),
        }
    }
}

/// Whether a pod may be an endpoint at all: it has an address and has not ended.
fn has_place(pod: &Pod) -> bool {
    !is_terminal(pod) && !addresses(pod).is_empty()
}

fn missing_node(pod: &Pod, service: &Service, node: &str) -> String {
    let name = |meta: &ObjectMeta| meta.name.clone().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let (pod, service) = (name(&pod.metadata), name(&service.metadata));
    format!("skipping Pod {pod} for Service {namespace}/{service}: Node {node} Not Found")
}

fn is_owned(slice: &EndpointSlice, service: &Service) -> bool {
    let mut owners = slice.metadata.owner_references.iter().flatten();
    owners.any(|owner| Some(&owner.uid) == service.metadata.uid.as_ref() && owner.kind == "Service")
}

fn has_hints(slice: &EndpointSlice) -> bool {
    slice
        .endpoints
        .iter()
        .flatten()
        .any(|endpoint| endpoint.hints.is_some())
}

/// A Service without endpoints keeps one empty slice, so that a reader can tell it from one not looked at yet.
fn add_placeholder(packed: &mut Packed, service: &Service, family: Family) {
    let placeholder = blank(service, family, &[]);
    if let [only] = packed.delete.as_slice()
        && is_placeholder(only, &placeholder)
    {
        packed.unchanged.append(&mut packed.delete);
        return;
    }
    packed.create.push(placeholder);
}

fn is_placeholder(slice: &EndpointSlice, placeholder: &EndpointSlice) -> bool {
    let empty = slice.endpoints.as_ref().is_none_or(Vec::is_empty)
        && slice.ports.as_ref().is_none_or(Vec::is_empty);
    empty
        && slice.metadata.labels == placeholder.metadata.labels
        && slice.metadata.owner_references == placeholder.metadata.owner_references
}

/// A slice to be deleted and one to be made are one to be changed.
fn recycle(packed: &mut Packed, service: &Service) {
    let (own, foreign): (Vec<_>, Vec<_>) = std::mem::take(&mut packed.delete)
        .into_iter()
        .partition(|slice| is_owned(slice, service));
    packed.delete = foreign;
    for old in own {
        match packed.create.pop() {
            Some(mut new) => {
                new.metadata.name.clone_from(&old.metadata.name);
                new.metadata
                    .resource_version
                    .clone_from(&old.metadata.resource_version);
                packed.update.push(new);
            }
            None => packed.delete.push(old),
        }
    }
}

fn blank(service: &Service, family: Family, ports: &[EndpointPort]) -> EndpointSlice {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let mut slice = EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: service.metadata.namespace.clone(),
            owner_references: Some(vec![controller_reference(service)]),
            ..ObjectMeta::default()
        },
        address_type: family.name().to_owned(),
        endpoints: None,
        ports: Some(ports.to_vec()).filter(|ports| !ports.is_empty()),
    };
    relabel(&mut slice, service);
    slice
}

/// Gives a slice the Service's labels and its own; says whether the Service's were others.
fn relabel(slice: &mut EndpointSlice, service: &Service) -> bool {
    let foreign = |labels: Option<&Labels>| -> Labels {
        let all = labels.into_iter().flatten();
        let foreign = all.filter(|(name, _)| {
            ![SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL].contains(&name.as_str())
        });
        foreign
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let had = foreign(slice.metadata.labels.as_ref());
    let mut labels = foreign(service.metadata.labels.as_ref());
    let differs = had != labels;
    if !has_cluster_ip(service) {
        labels.insert(HEADLESS_LABEL.to_owned(), String::new());
    }
    labels.insert(
        SERVICE_NAME_LABEL.to_owned(),
        service.metadata.name.clone().unwrap_or_default(),
    );
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    slice.metadata.labels = Some(labels);
    differs
}
