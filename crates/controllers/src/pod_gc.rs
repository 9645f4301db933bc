//! Deletes pods that nobody will end any more: those of nodes that are gone, and those that were deleted before they got
//! a node (upstream: `pkg/controller/podgc`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::pods::{is_terminal, node};
use crate::time::now;
use crate::write;

/// How often pods are looked at.
const PERIOD: Duration = Duration::from_secs(20);

/// A node has to be gone for so long: it may be registering again.
const QUARANTINE: Duration = Duration::from_secs(40);

/// The condition of a pod that goes for a reason that is not its own.
const DISRUPTION: &str = "DisruptionTarget";

/// Beyond so many ended pods the oldest are deleted.
const ENDED_LIMIT: usize = 12_500;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    context.caches.pods().ready().await;
    context.caches.nodes().ready().await;
    let mut missing = BTreeMap::new();
    loop {
        let pods = context.caches.pods().all();
        let nodes = context
            .caches
            .nodes()
            .all()
            .iter()
            .map(|node| Key::of(&**node).name)
            .collect();
        for pod in plan(&pods, &nodes, &mut missing, Instant::now()) {
            if let Err(problem) = remove(&context, &pod).await {
                tracing::warn!(%problem, "a pod that nobody ends could not be deleted");
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// The pods to be deleted. `missing` holds since when each node is.
fn plan(
    pods: &[Arc<Pod>],
    nodes: &BTreeSet<String>,
    missing: &mut BTreeMap<String, Instant>,
    now: Instant,
) -> Vec<Arc<Pod>> {
    let named: BTreeSet<_> = pods.iter().map(|pod| node(pod).to_owned()).collect();
    missing.retain(|name, _| named.contains(name) && !nodes.contains(name));
    for name in named
        .into_iter()
        .filter(|name| !name.is_empty() && !nodes.contains(name))
    {
        missing.entry(name).or_insert(now);
    }
    let lost = |pod: &Pod| {
        missing
            .get(node(pod))
            .is_some_and(|since| now - *since >= QUARANTINE)
    };
    let never_placed =
        |pod: &Pod| node(pod).is_empty() && pod.metadata.deletion_timestamp.is_some();
    let mut doomed: Vec<_> = pods
        .iter()
        .filter(|pod| lost(pod) || never_placed(pod))
        .cloned()
        .collect();
    let mut ended: Vec<_> = pods.iter().filter(|pod| is_terminal(pod)).collect();
    ended.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|made| made.0));
    let surplus = ended.len().saturating_sub(ENDED_LIMIT);
    doomed.extend(ended.into_iter().take(surplus).cloned());
    doomed
}

/// Marks a pod as failed, so that whoever counts pods sees how it ended, and deletes it at once.
async fn remove(context: &Context, pod: &Pod) -> Result<()> {
    let key = Key::of(pod);
    let api = context.namespaced::<Pod>(&key.namespace);
    if !is_terminal(pod) {
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": failed(pod)});
        match write::patch_status(&api, &key, &patch).await {
            Err(problem) if !problem.is_not_found() => return Err(problem),
            _ => {}
        }
    }
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    write::delete_with(&api, &key, uid, DeleteParams::default().grace_period(0)).await
}

/// The status of a pod that nobody runs any more; one that had a node was disrupted.
fn failed(pod: &Pod) -> Value {
    let generation = pod.metadata.generation;
    let mut status = json!({"phase": "Failed", "observedGeneration": generation});
    if node(pod).is_empty() {
        return status;
    }
    let had = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let others = had
        .into_iter()
        .flatten()
        .filter(|had| had.type_ != DISRUPTION);
    let disrupted = json!({"type": DISRUPTION, "status": "True", "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists", "lastTransitionTime": now(), "observedGeneration": generation});
    let conditions = others.map(|had| json!(had)).chain([disrupted]);
    status["conditions"] = conditions.collect();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_a_lost_node_go_after_a_while() {
        let pod = |name: &str, node: &str, deleted: bool| {
            let at = deleted.then_some("2026-01-01T00:00:00Z");
            let pod = json!({"metadata": {"name": name, "deletionTimestamp": at}, "spec": {"nodeName": node, "containers": []}});
            Arc::new(serde_json::from_value::<Pod>(pod).unwrap())
        };
        let pods = [
            pod("here", "a", false),
            pod("lost", "b", false),
            pod("early", "", true),
            pod("waiting", "", false),
        ];
        let nodes = BTreeSet::from(["a".to_owned()]);
        let mut missing = BTreeMap::new();
        let start = Instant::now();
        let mut names = |after: u64| -> Vec<String> {
            let doomed = plan(
                &pods,
                &nodes,
                &mut missing,
                start + Duration::from_secs(after),
            );
            doomed
                .iter()
                .map(|pod| pod.metadata.name.clone().unwrap())
                .collect()
        };
        assert_eq!(names(0), ["early"]);
        assert_eq!(names(20), ["early"]);
        assert_eq!(names(40), ["lost", "early"]);
    }
}
