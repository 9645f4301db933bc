//! What keeps a pod off a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, Pod, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pods::is_terminal;
use crate::quantity;
use crate::scheduler::affinity;
use crate::selector::{Labels, contains};

/// The first thing that keeps the pod off the node, in the words of kube-scheduler.
pub(super) fn obstacle(pod: &Pod, node: &Node, there: &[Arc<Pod>]) -> Option<String> {
    let spec = pod.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let hard = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    if let Some(taint) = taints(node)
        .iter()
        .filter(hard)
        .find(|taint| !tolerated(tolerations, taint))
    {
        let value = taint.value.as_deref().unwrap_or_default();
        return Some(format!(
            "node(s) had untolerated taint {{{}: {value}}}",
            taint.key
        ));
    }
    let cordoned = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    if unschedulable && !tolerated(tolerations, &cordoned) {
        return Some("node(s) were unschedulable".to_owned());
    }
    let labels = node.metadata.labels.as_ref();
    let selected = spec
        .node_selector
        .as_ref()
        .is_none_or(|wanted| contains(labels, wanted));
    if !selected || !affinity::required(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    let there: Vec<_> = there.iter().filter(|other| !is_terminal(other)).collect();
    if there.iter().any(|other| {
        host_ports(other)
            .iter()
            .any(|port| host_ports(pod).contains(port))
    }) {
        return Some("node(s) didn't have free ports for the requested pod ports".to_owned());
    }
    lacks(pod, node, &there)
}

fn taints(node: &Node) -> &[Taint] {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default()
}

/// Whether any toleration is for this taint.
pub(crate) fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations
        .iter()
        .any(|toleration| tolerates(toleration, taint))
}

/// Whether a toleration is for a taint; one without key or effect is for all of them.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    let value = toleration.value.as_deref().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists || value == taint.value.as_deref().unwrap_or_default())
}

/// How many soft taints the pod does not tolerate.
pub(super) fn prefers_not(pod: &Pod, node: &Node) -> usize {
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref())
        .unwrap_or_default();
    let soft = taints(node)
        .iter()
        .filter(|taint| taint.effect == "PreferNoSchedule");
    soft.filter(|taint| !tolerated(tolerations, taint)).count()
}

fn host_ports(pod: &Pod) -> Vec<(i32, String)> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let bound =
        ports.filter_map(|port| Some((port.host_port?, port.protocol.clone().unwrap_or_default())));
    bound.filter(|(port, _)| *port != 0).collect()
}

fn lacks(pod: &Pod, node: &Node, there: &[&Arc<Pod>]) -> Option<String> {
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref())?;
    let limit = |name: &str| {
        allocatable
            .get(name)
            .and_then(|limit| quantity::value(&limit.0))
    };
    #[expect(clippy::cast_precision_loss, reason = "numbers of pods are small")]
    let count = there.len() as f64 + 1.0;
    if limit("pods").is_some_and(|limit| limit < count) {
        return Some("Too many pods".to_owned());
    }
    let mut wanted = requests(pod);
    wanted.retain(|_, amount| *amount > 0.0);
    for (name, amount) in &mut wanted {
        let others = there
            .iter()
            .map(|other| requests(other).get(name).copied().unwrap_or(0.0));
        *amount += others.sum::<f64>();
    }
    let short = wanted
        .iter()
        .find(|(name, amount)| limit(name).unwrap_or(0.0) < **amount);
    short.map(|(name, _)| format!("Insufficient {name}"))
}

/// What a pod asks for: the sum of its containers, or its largest init container if that is more.
fn requests(pod: &Pod) -> BTreeMap<String, f64> {
    let mut total = BTreeMap::<String, f64>::new();
    let spec = pod.spec.clone().unwrap_or_default();
    let of = |container: &Container| -> Vec<(String, f64)> {
        let requests = container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref());
        let all = requests.into_iter().flatten();
        all.filter_map(|(name, amount)| Some((name.clone(), quantity::value(&amount.0)?)))
            .collect()
    };
    let init = spec.init_containers.iter().flatten();
    let (sidecars, once): (Vec<_>, Vec<_>) =
        init.partition(|container| container.restart_policy.as_deref() == Some("Always"));
    for (name, amount) in spec.containers.iter().chain(sidecars).flat_map(of) {
        *total.entry(name).or_default() += amount;
    }
    for (name, amount) in once.into_iter().flat_map(of) {
        let most = total.entry(name).or_default();
        *most = most.max(amount);
    }
    total
}

/// What of a node may decide whether a pod fits: when it changes, pods that fit nowhere are looked at again.
#[derive(PartialEq)]
pub(super) struct WhatCounts {
    labels: Option<Labels>,
    taints: Vec<Taint>,
    unschedulable: Option<bool>,
    allocatable: BTreeMap<String, Quantity>,
}

/// What of this node may decide.
pub(super) fn what_counts(node: &Node) -> WhatCounts {
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.clone());
    WhatCounts {
        labels: node.metadata.labels.clone(),
        taints: taints(node).to_vec(),
        unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable),
        allocatable: allocatable.unwrap_or_default(),
    }
}
