//! Which node a pod is to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::owner::controller_of;
use crate::pods::is_terminal;
use crate::scheduler::affinity::preference;
use crate::scheduler::filter::{obstacle, prefers_not};

/// A node, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Node(String),
    None(String),
}

/// Chooses a node for a pod, given the pods that each node has.
pub(super) fn choose(
    pod: &Pod,
    nodes: &[Arc<Node>],
    on_nodes: &BTreeMap<String, Vec<Arc<Pod>>>,
) -> Choice {
    if nodes.is_empty() {
        return Choice::None("no nodes available to schedule pods".to_owned());
    }
    let mut obstacles = BTreeMap::<String, usize>::new();
    let mut best = None;
    for node in nodes {
        let name = node.metadata.name.clone().unwrap_or_default();
        let there = on_nodes.get(&name).map(Vec::as_slice).unwrap_or_default();
        match obstacle(pod, node, there) {
            Some(why) => *obstacles.entry(why).or_default() += 1,
            None => {
                let candidate = (rank(pod, node, there), name);
                best = best.map_or(Some(candidate.clone()), |best| Some(candidate.min(best)));
            }
        }
    }
    match best {
        Some((_, name)) => Choice::Node(name),
        None => Choice::None(refusal(nodes.len(), &obstacles)),
    }
}

/// Lower is better: what the pod prefers, then soft taints, then few siblings, then few pods.
fn rank(pod: &Pod, node: &Node, there: &[Arc<Pod>]) -> (i64, usize, usize, usize) {
    let owner = controller_of(&pod.metadata).map(|owner| &owner.uid);
    let there = there.iter().filter(|other| !is_terminal(other));
    let siblings = there.clone().filter(|other| {
        owner.is_some() && controller_of(&other.metadata).map(|owner| &owner.uid) == owner
    });
    (
        -preference(pod, node),
        prefers_not(pod, node),
        siblings.count(),
        there.count(),
    )
}

fn refusal(nodes: usize, obstacles: &BTreeMap<String, usize>) -> String {
    let reasons: Vec<_> = obstacles
        .iter()
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    format!("0/{nodes} nodes are available: {}.", reasons.join(", "))
}
