//! Notices that a node is lost, keeps pods off it, and in the end gives them up
//! (upstream: `pkg/controller/nodelifecycle` and `pkg/controller/tainteviction`).
//!
//! One difference: upstream taints at most one lost node in ten seconds, this controller all at once. Like upstream it
//! evicts nothing while every node is lost, because then it is more likely this side that is cut off.

mod eviction;
mod health;
mod taints;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;
use tokio::time::Instant;

use crate::caches::node_word;
use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::node_lifecycle::health::{Signs, judge};
use crate::pods::condition;
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::time::now;
use crate::write;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(20));
    let fallen = Queue::new(Duration::from_millis(20));
    let (to, to_fallen) = (queue.clone(), fallen.clone());
    context.caches.nodes().listen(move |old, new| {
        if let Some(node) = new {
            to.add(Key::of(node));
            if health::falls(old, node) {
                to_fallen.add(Key::of(node));
            }
        }
    });
    context.caches.nodes().ready().await;
    context.caches.pods().ready().await;
    context.caches.node_leases().ready().await;
    let controller = Controller {
        recorder: context.recorder.named("node-controller"),
        context,
    };
    tokio::join!(
        controller.watch_health(&queue),
        queue.work("node-lifecycle", 4, |key| controller.sync(key)),
        fallen.work("node-lifecycle-pods", 4, |key| controller.tell_pods(key)),
        eviction::run(&controller.context, &controller.recorder),
    );
}

struct Controller {
    context: Context,
    recorder: Recorder,
}

impl Controller {
    /// Looks for nodes without a sign of life.
    async fn watch_health(&self, queue: &Queue<Key>) {
        let mut signs = BTreeMap::<Key, Signs>::new();
        let mut disrupted = false;
        loop {
            let nodes = self.context.caches.nodes().all();
            signs.retain(|key, _| nodes.iter().any(|node| Key::of(&**node) == *key));
            for node in &nodes {
                self.look_at(node, &mut signs).await;
            }
            let all_lost = taints::all_lost(&nodes);
            if std::mem::replace(&mut disrupted, all_lost) != all_lost {
                nodes.iter().for_each(|node| queue.add(Key::of(&**node)));
            }
            tokio::time::sleep(self.context.config.nodes.period).await;
        }
    }

    async fn look_at(&self, node: &Node, signs: &mut BTreeMap<Key, Signs>) {
        let key = Key::of(node);
        let lease = self
            .context
            .caches
            .node_leases()
            .get(&Key::new("kube-node-lease", &key.name));
        let seen = signs
            .entry(key.clone())
            .or_insert_with(|| Signs::new(Instant::now()));
        seen.note(node, lease.as_deref(), Instant::now());
        let Some(status) = judge(
            node,
            seen,
            &self.context.config.nodes,
            (Instant::now(), Timestamp::now()),
        ) else {
            return;
        };
        tracing::info!(node = key.name, "a node gives no sign of life");
        let changed = Node {
            status: Some(status),
            ..node.clone()
        };
        match write::replace_status(&self.context.cluster::<Node>(), &changed).await {
            Ok(written) => {
                if health::falls(Some(node), &written) {
                    let text = format!("Node {} status is now: NodeNotReady", key.name);
                    self.recorder.note(node, Note::normal("NodeNotReady", text));
                }
                self.context.caches.nodes().catch_up(&written).await;
            }
            Err(problem) => tracing::debug!(%problem, "will try again"),
        }
    }

    /// Gives a node the taints that its conditions ask for.
    async fn sync(&self, key: Key) -> Result<Again> {
        let cache = self.context.caches.nodes();
        let Some(node) = cache.get(&key) else {
            return Ok(None);
        };
        if let Some(taints) =
            taints::plan(&node, taints::disrupted_zone(&node, &cache.all()), &now())
        {
            let taints = if taints.is_empty() {
                json!(null)
            } else {
                json!(taints)
            };
            let patch = json!({
                "metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version},
                "spec": {"taints": taints},
            });
            let written = write::patch(&self.context.cluster::<Node>(), &key, &patch).await;
            match written {
                Ok(written) => cache.catch_up(&written).await,
                Err(problem) if problem.is_not_found() => return Ok(None),
                Err(problem) => return Err(problem),
            }
        }
        Ok(None)
    }

    /// On a node that has just ceased to be ready no pod is ready. What is said of them later is left alone: it
    /// comes from a node that lives, or from somebody else who knows.
    async fn tell_pods(&self, key: Key) -> Result<Again> {
        let node = self.context.caches.nodes().get(&key);
        if node.is_some_and(|node| health::is_down(&node)) {
            for pod in self.context.caches.pods().with_word(&node_word(&key.name)) {
                self.mark_not_ready(&pod).await?;
            }
        }
        Ok(None)
    }

    async fn mark_not_ready(&self, pod: &Arc<Pod>) -> Result<()> {
        if condition(pod, "Ready").is_none_or(|ready| ready.status != "True") {
            return Ok(());
        }
        let mut changed = (**pod).clone();
        let conditions = changed
            .status
            .iter_mut()
            .flat_map(|status| status.conditions.iter_mut().flatten());
        for ready in conditions.filter(|condition| condition.type_ == "Ready") {
            ready.status = "False".to_owned();
            ready.last_transition_time = Some(now());
        }
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        match write::replace_status(&self.context.namespaced::<Pod>(namespace), &changed).await {
            Ok(written) => {
                self.recorder
                    .note(&**pod, Note::warning("NodeNotReady", "Node is not ready"));
                self.context.caches.pods().catch_up(&written).await;
                Ok(())
            }
            Err(problem) if problem.is_not_found() => Ok(()),
            Err(problem) => Err(problem),
        }
    }
}
