//! Hints after `spec.trafficDistribution`: each ready endpoint is for its own zone, or its own node
//! (`k8s.io/endpointslice/trafficdist`).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointSlice, ForNode, ForZone};

use crate::endpoint_slices::pack::Packed;

/// How a Service's endpoints are hinted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distribution {
    /// No hints.
    Anywhere,
    /// Each for its own zone, and for its own node too if so asked.
    Close { node: bool },
    /// By the zones' share of processors (`topology.rs`).
    Auto,
}

/// The annotations override the field; the older one is read first.
pub(super) fn distribution(service: &Service) -> Distribution {
    let annotation = |name: &str| {
        service
            .metadata
            .annotations
            .as_ref()?
            .get(name)
            .map(String::as_str)
    };
    let mode = annotation("service.kubernetes.io/topology-aware-hints")
        .or_else(|| annotation("service.kubernetes.io/topology-mode"));
    if matches!(mode, Some("Auto" | "auto")) {
        return Distribution::Auto;
    }
    let field = service
        .spec
        .as_ref()
        .and_then(|spec| spec.traffic_distribution.as_deref());
    match field {
        Some("PreferClose" | "PreferSameZone") => Distribution::Close { node: false },
        Some("PreferSameNode") => Distribution::Close { node: true },
        _ => Distribution::Anywhere,
    }
}

/// Whether an endpoint is ready.
pub(super) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .and_then(|conditions| conditions.ready)
        == Some(true)
}

/// Hints for each endpoint's own zone and, if asked, node. Slices whose ready endpoints have other hints join the written.
pub(super) fn hint_close(packed: &mut Packed, node: bool) {
    move_to_update(packed, |slice| {
        let mut ready = slice
            .endpoints
            .iter()
            .flatten()
            .filter(|endpoint| is_ready(endpoint));
        ready.any(|endpoint| {
            let (had, wanted) = (endpoint.hints.clone(), close(endpoint, node));
            had.unwrap_or_default() != wanted.unwrap_or_default()
        })
    });
    for endpoint in written(packed).filter(|endpoint| is_ready(endpoint)) {
        endpoint.hints = close(endpoint, node);
    }
}

fn close(endpoint: &Endpoint, node: bool) -> Option<EndpointHints> {
    let zone = endpoint.zone.clone();
    let node = endpoint.node_name.clone().filter(|_| node);
    if zone.is_none() && node.is_none() {
        return None;
    }
    Some(EndpointHints {
        for_zones: zone.map(|name| vec![ForZone { name }]),
        for_nodes: node.map(|name| vec![ForNode { name }]),
    })
}

/// Takes all hints away.
pub(super) fn remove(packed: &mut Packed) {
    move_to_update(packed, |slice| {
        slice
            .endpoints
            .iter()
            .flatten()
            .any(|endpoint| endpoint.hints.is_some())
    });
    for endpoint in written(packed) {
        endpoint.hints = None;
    }
}

/// The endpoints of all slices that are to be written.
pub(super) fn written(packed: &mut Packed) -> impl Iterator<Item = &mut Endpoint> {
    let slices = packed.create.iter_mut().chain(&mut packed.update);
    slices.flat_map(|slice| slice.endpoints.iter_mut().flatten())
}

/// Marks unchanged slices as to be written.
pub(super) fn move_to_update(packed: &mut Packed, mut needs: impl FnMut(&EndpointSlice) -> bool) {
    let (moved, left) = std::mem::take(&mut packed.unchanged)
        .into_iter()
        .partition(|slice| needs(slice));
    packed.unchanged = left;
    packed
        .update
        .extend(Vec::into_iter(moved).map(Arc::unwrap_or_clone));
}
