//! Which pods go first when there are too many (`ActivePodsWithRanks` in `pkg/controller/controller_utils.go`).

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pods::{is_active, is_ready, node, phase, ready_since};
use crate::time::since;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The pods, first to go first.
pub(super) fn first_to_go(
    pods: &[Arc<Pod>],
    relatives: &[Arc<Pod>],
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in relatives.iter().filter(|pod| is_active(pod)) {
        *on_node.entry(node(pod)).or_default() += 1;
    }
    let mut sorted = pods.to_vec();
    sorted.sort_by(|a, b| {
        let crowd = |pod: &Pod| on_node.get(node(pod)).copied().unwrap_or(0);
        standing(a)
            .cmp(&standing(b))
            .then_with(|| crowd(b).cmp(&crowd(a)))
            .then_with(|| shorter_first(ready_since(a), ready_since(b), (a, b), now))
            .then_with(|| restarts(b).cmp(&restarts(a)))
            .then_with(|| {
                let (a_made, b_made) = (
                    &a.metadata.creation_timestamp,
                    &b.metadata.creation_timestamp,
                );
                shorter_first(a_made.as_ref(), b_made.as_ref(), (a, b), now)
            })
    });
    sorted
}

/// Unassigned before assigned, Pending before Unknown before Running, not ready before ready, cheap before dear.
fn standing(pod: &Pod) -> (bool, u8, bool, i64) {
    let phase = match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let annotations = pod.metadata.annotations.as_ref();
    let cost = annotations
        .and_then(|all| all.get(DELETION_COST))
        .and_then(|cost| cost.parse().ok());
    (
        !node(pod).is_empty(),
        phase,
        is_ready(pod),
        cost.unwrap_or(0),
    )
}

/// Times of the same order of magnitude count as equal, and then the uid decides: otherwise the newest pods
/// would always go, and with them perhaps all of one zone (KEP-2185).
fn shorter_first(
    a: Option<&Time>,
    b: Option<&Time>,
    pods: (&Pod, &Pod),
    now: Timestamp,
) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a != b => {
            let magnitude = |at: &Time| since(at, now).as_nanos().max(1).ilog2();
            let by_uid = || pods.0.metadata.uid.cmp(&pods.1.metadata.uid);
            magnitude(a).cmp(&magnitude(b)).then_with(by_uid)
        }
        // Upstream: no time at all counts as the newest.
        (a, b) => Reverse(a.is_none()).cmp(&Reverse(b.is_none())),
    }
}

fn restarts(pod: &Pod) -> i32 {
    let containers = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    containers
        .map(|container| container.restart_count)
        .max()
        .unwrap_or(0)
}
