//! The taints that a node's conditions ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::health::readiness;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Which condition and status asks for which taint.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    (
        "MemoryPressure",
        "True",
        "node.kubernetes.io/memory-pressure",
    ),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    (
        "NetworkUnavailable",
        "True",
        "node.kubernetes.io/network-unavailable",
    ),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// From this part of a zone's nodes on, being lost is the zone's trouble and not the nodes'.
const UNHEALTHY_PART: f64 = 0.55;

/// The node's taints as they are to be; `None` if they are so. Nothing new is evicted in a `disrupted` zone.
pub(super) fn plan(node: &Node, disrupted: bool, now: &Time) -> Option<Vec<Taint>> {
    let wanted = wanted(node, disrupted);
    let current = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    let is =
        |taint: &Taint, (key, effect): &(&str, &str)| taint.key == *key && taint.effect == *effect;
    let mut taints = current.clone();
    taints.retain(|taint| !is_ours(taint) || wanted.iter().any(|one| is(taint, one)));
    for one in &wanted {
        if !taints.iter().any(|taint| is(taint, one)) {
            taints.push(Taint {
                key: one.0.to_owned(),
                effect: one.1.to_owned(),
                time_added: Some(now.clone()),
                value: None,
            });
        }
    }
    (taints != current).then_some(taints)
}

fn wanted(node: &Node, disrupted: bool) -> Vec<(&'static str, &'static str)> {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut keys: Vec<_> = conditions
        .flat_map(|condition| {
            let asks = move |(kind, status, _): &&(&str, &str, &str)| {
                condition.type_ == *kind && condition.status == *status
            };
            BY_CONDITION.iter().filter(asks).map(|(_, _, key)| *key)
        })
        .collect();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        keys.push(UNSCHEDULABLE);
    }
    let lost = keys
        .iter()
        .copied()
        .filter(|key| [NOT_READY, UNREACHABLE].contains(key));
    let evicting: Vec<_> = lost
        .filter(|_| !disrupted)
        .map(|key| (key, "NoExecute"))
        .collect();
    keys.into_iter()
        .map(|key| (key, "NoSchedule"))
        .chain(evicting)
        .collect()
}

fn is_ours(taint: &Taint) -> bool {
    let by_condition = || BY_CONDITION.iter().any(|(_, _, key)| taint.key == *key);
    match taint.effect.as_str() {
        "NoSchedule" => taint.key == UNSCHEDULABLE || by_condition(),
        "NoExecute" => [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()),
        _ => false,
    }
}

/// Whether no node is ready.
pub(super) fn all_lost(nodes: &[Arc<Node>]) -> bool {
    !nodes.iter().any(|node| readiness(node) == Some("True"))
}

/// Whether so many nodes are lost that pods are better left where they are: all, or most of the node's zone.
pub(super) fn disrupted_zone(node: &Node, nodes: &[Arc<Node>]) -> bool {
    let mut zones = BTreeMap::<_, (usize, usize)>::new();
    for other in nodes {
        let (lost, all) = zones.entry(zone(other)).or_default();
        *lost += usize::from(readiness(other) != Some("True"));
        *all += 1;
    }
    let (lost, all) = zones.get(&zone(node)).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "numbers of nodes are small")]
    let most = lost > 2 && lost < all && lost as f64 / all as f64 >= UNHEALTHY_PART;
    all_lost(nodes) || most
}

fn zone(node: &Node) -> (Option<&String>, Option<&String>) {
    let labels = node.metadata.labels.as_ref();
    let label = |name: &str| labels.and_then(|labels| labels.get(name));
    (
        label("topology.kubernetes.io/region"),
        label("topology.kubernetes.io/zone"),
    )
}
