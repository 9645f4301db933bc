//! How endpoints are spread over slices: as few writes as possible, never a rebalancing
//! (`reconcileByPortMapping` in `k8s.io/endpointslice/reconciler.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

/// The most endpoints in a slice.
pub(super) const FULL: usize = 100;

/// What makes two endpoints the same endpoint, however else they differ.
pub(crate) type Identity = (
    Vec<String>,
    Option<String>,
    Option<(Option<String>, Option<String>)>,
);

/// Endpoints that are to be in slices.
pub(crate) type Endpoints = BTreeMap<Identity, Endpoint>;

/// Ports without their order, to tell groups of slices apart.
pub(crate) type PortKey = Vec<(Option<String>, Option<String>, Option<i32>, Option<String>)>;

/// The slices of one group as they are to be.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) create: Vec<EndpointSlice>,
    pub(super) update: Vec<EndpointSlice>,
    pub(super) delete: Vec<Arc<EndpointSlice>>,
    pub(super) unchanged: Vec<Arc<EndpointSlice>>,
}

/// The key of an endpoint.
pub(crate) fn identity(endpoint: &Endpoint) -> Identity {
    let target = endpoint.target_ref.as_ref();
    (
        endpoint.addresses.clone(),
        endpoint.hostname.clone(),
        target.map(|target| (target.namespace.clone(), target.name.clone())),
    )
}

/// The key of a list of ports.
pub(crate) fn port_key(ports: &[EndpointPort]) -> PortKey {
    let key = |port: &EndpointPort| {
        (
            port.name.clone(),
            port.protocol.clone(),
            port.port,
            port.app_protocol.clone(),
        )
    };
    let mut keys: Vec<_> = ports.iter().map(key).collect();
    keys.sort();
    keys
}

/// Packs endpoints of one family and port list. `relabel` gives a slice its labels and says whether they were
/// others; `blank` makes a new slice.
pub(super) fn pack(
    existing: &[Arc<EndpointSlice>],
    mut wanted: Endpoints,
    relabel: impl Fn(&mut EndpointSlice) -> bool,
    blank: impl Fn() -> EndpointSlice,
) -> Packed {
    let mut packed = Packed::default();
    for slice in existing {
        packed.keep(slice, &mut wanted, &relabel);
    }
    packed.fill_changed(&mut wanted);
    while !wanted.is_empty() {
        let mut slice = packed.take_best_fit(wanted.len()).unwrap_or_else(&blank);
        fill(&mut slice, &mut wanted);
        if slice.metadata.name.is_some() {
            packed.update.push(slice);
        } else {
            packed.create.push(slice);
        }
    }
    packed
}

impl Packed {
    /// Takes out of `wanted` what this slice has, and sorts the slice by what is to be done with it.
    fn keep(
        &mut self,
        slice: &Arc<EndpointSlice>,
        wanted: &mut Endpoints,
        relabel: impl Fn(&mut EndpointSlice) -> bool,
    ) {
        let had = slice.endpoints.as_deref().unwrap_or_default();
        let mut differs = false;
        let mut kept = Vec::with_capacity(had.len());
        for old in had {
            match wanted.remove(&identity(old)) {
                Some(new) if same(old, &new) => kept.push(new),
                Some(new) => {
                    differs = true;
                    kept.push(new);
                }
                None => differs = true,
            }
        }
        let mut copy = (**slice).clone();
        let relabelled = relabel(&mut copy);
        if differs && kept.is_empty() {
            self.delete.push(Arc::clone(slice));
        } else if differs {
            copy.endpoints = Some(kept);
            self.update.push(copy);
        } else if relabelled {
            self.update.push(copy);
        } else {
            self.unchanged.push(Arc::clone(slice));
        }
    }

    /// Slices that are written anyway are filled first, the fullest before the others.
    fn fill_changed(&mut self, wanted: &mut Endpoints) {
        self.update
            .sort_by_key(|slice| std::cmp::Reverse(count(slice)));
        for slice in &mut self.update {
            fill(slice, wanted);
        }
    }

    /// The unchanged slice that all the rest would fill best.
    fn take_best_fit(&mut self, rest: usize) -> Option<EndpointSlice> {
        if rest >= FULL {
            return None;
        }
        let fits = |slice: &EndpointSlice| count(slice) > 0 && count(slice) + rest <= FULL;
        let candidates = self.unchanged.iter().enumerate();
        let fitting = candidates.filter(|(_, slice)| fits(slice));
        let best = fitting
            .max_by_key(|(_, slice)| count(slice))
            .map(|(index, _)| index);
        // An empty slice is upstream's last choice among those that fit.
        let best = best.or_else(|| self.unchanged.iter().position(|slice| count(slice) == 0))?;
        Some(Arc::unwrap_or_clone(self.unchanged.remove(best)))
    }
}

fn fill(slice: &mut EndpointSlice, wanted: &mut Endpoints) {
    let endpoints = slice.endpoints.get_or_insert_default();
    while endpoints.len() < FULL {
        match wanted.pop_first() {
            Some((_, endpoint)) => endpoints.push(endpoint),
            None => break,
        }
    }
}

/// How many endpoints a slice has.
pub(super) fn count(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

/// Whether an endpoint with the same identity needs no write. Hints are decided later.
fn same(old: &Endpoint, new: &Endpoint) -> bool {
    old.node_name == new.node_name
        && old.zone == new.zone
        && old.conditions == new.conditions
        && without_revision(old.target_ref.as_ref()) == without_revision(new.target_ref.as_ref())
}

fn without_revision(target: Option<&ObjectReference>) -> Option<ObjectReference> {
    let mut target = target.cloned()?;
    target.resource_version = None;
    Some(target)
}
