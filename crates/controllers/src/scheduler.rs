//! Gives each pod a node (upstream: kube-scheduler, of which this is the part that a small cluster needs).
//!
//! Nodes are filtered by taints, selectors, affinity, host ports and room; of those left the one with the fewest pods
//! of the same owner and then the fewest pods wins.

mod affinity;
mod filter;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use kube::api::PostParams;
use serde_json::json;

use crate::caches::node_word;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::pods::{condition, is_terminal, node};
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::scheduler::plan::Choice;
use crate::time::now;
use crate::write;

pub(crate) use self::filter::tolerates;

const WORKERS: usize = 8;

/// A pod that fits nowhere is looked at after so long even if no node has changed.
const RETRY: Duration = Duration::from_secs(60);

/// The scheduler's name in pods' specs.
const NAME: &str = "default-scheduler";

/// Runs the scheduler.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(50));
    let controller = Scheduler {
        recorder: context.recorder.named(NAME),
        context,
        decided: Mutex::default(),
        without: Arc::default(),
    };
    controller.listen(&queue);
    controller.context.caches.nodes().ready().await;
    controller.context.caches.pods().ready().await;
    queue
        .work("scheduler", WORKERS, |key| controller.sync(key))
        .await;
}

struct Scheduler {
    context: Context,
    recorder: Recorder,
    /// Pods whose node is chosen but not yet seen in the cache: they take up room.
    decided: Mutex<HashMap<String, Arc<Pod>>>,
    /// Pods that fit nowhere.
    without: Arc<Mutex<BTreeSet<Key>>>,
}

impl Scheduler {
    fn listen(&self, queue: &Queue<Key>) {
        let (to, without) = (queue.clone(), Arc::clone(&self.without));
        let again = move || {
            let waiting =
                std::mem::take(&mut *without.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(|key| to.add(key));
        };
        let (to, room) = (queue.clone(), again.clone());
        self.context.caches.pods().listen(move |old, new| {
            let freed = old.is_some_and(|old| !node(old).is_empty()) && new.is_none_or(is_terminal);
            if freed {
                room();
            }
            if let Some(pod) = new.filter(|pod| is_mine(pod)) {
                to.add(Key::of(pod));
            }
        });
        self.context.caches.nodes().listen(move |old, new| {
            let room = |node: Option<&Node>| node.map(filter::what_counts);
            if room(old) != room(new) {
                again();
            }
        });
    }

    async fn sync(&self, key: Key) -> Result<Again> {
        let Some(pod) = self
            .context
            .caches
            .pods()
            .get(&key)
            .filter(|pod| is_mine(pod))
        else {
            self.forget(&key);
            return Ok(None);
        };
        match self.decide(&pod) {
            Choice::Node(node) => {
                let bound = self.bind(&pod, &key, &node).await;
                if bound.is_err() {
                    self.undecide(&pod);
                }
                bound.map(|()| None)
            }
            Choice::None(why) => {
                self.without
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(key.clone());
                self.tell(&pod, &key, &why).await.map(|()| Some(RETRY))
            }
        }
    }

    /// Chooses a node and counts the pod there at once, so that workers side by side do not all choose the same.
    fn decide(&self, pod: &Arc<Pod>) -> Choice {
        let caches = &self.context.caches;
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        // What the cache shows by now need not be remembered.
        decided.retain(|_, held| {
            caches.pods().get(&Key::of(&**held)).is_some_and(|seen| {
                seen.metadata.uid == held.metadata.uid && node(&seen).is_empty()
            })
        });
        let nodes = caches.nodes().all();
        let mut on_nodes: BTreeMap<String, Vec<Arc<Pod>>> = nodes
            .iter()
            .map(|node| {
                let name = Key::of(&**node).name;
                let pods = caches.pods().with_word(&node_word(&name));
                (name, pods)
            })
            .collect();
        for held in decided.values() {
            on_nodes
                .entry(node(held).to_owned())
                .or_default()
                .push(Arc::clone(held));
        }
        let choice = plan::choose(pod, &nodes, &on_nodes);
        if let Choice::Node(name) = &choice {
            let mut held = (**pod).clone();
            held.spec.get_or_insert_default().node_name = Some(name.clone());
            decided.insert(
                held.metadata.uid.clone().unwrap_or_default(),
                Arc::new(held),
            );
        }
        choice
    }

    fn undecide(&self, pod: &Pod) {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        self.decided
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    fn forget(&self, key: &Key) {
        self.without
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    async fn bind(&self, pod: &Pod, key: &Key, node: &str) -> Result<()> {
        let binding = Binding {
            metadata: kube::core::ObjectMeta {
                name: Some(key.name.clone()),
                namespace: Some(key.namespace.clone()),
                uid: pod.metadata.uid.clone(),
                ..Default::default()
            },
            target: ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        let api = self.context.namespaced::<Pod>(&key.namespace);
        let bound: Result<serde_json::Value, _> = api
            .create_subresource("binding", &key.name, &PostParams::default(), &binding)
            .await;
        bound.map_err(|source| Error::Api {
            verb: "bind",
            what: format!("Pod {key} to Node {node}"),
            source,
        })?;
        let text = format!("Successfully assigned {key} to {node}");
        self.recorder.note(pod, Note::normal("Scheduled", text));
        Ok(())
    }

    /// Says why a pod has no node, in its condition and an event.
    async fn tell(&self, pod: &Pod, key: &Key, why: &str) -> Result<()> {
        self.recorder
            .note(pod, Note::warning("FailedScheduling", why));
        let said = condition(pod, "PodScheduled");
        if said.is_some_and(|said| said.status == "False" && said.message.as_deref() == Some(why)) {
            return Ok(());
        }
        let since = said
            .filter(|said| said.status == "False")
            .and_then(|said| said.last_transition_time.clone());
        let mut conditions = pod
            .status
            .as_ref()
            .and_then(|status| status.conditions.clone())
            .unwrap_or_default();
        conditions.retain(|condition| condition.type_ != "PodScheduled");
        let mut conditions = json!(conditions);
        let unschedulable = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
            "lastTransitionTime": since.unwrap_or_else(now),
        });
        conditions
            .as_array_mut()
            .expect("a list of conditions")
            .push(unschedulable);
        let patch = json!({
            "metadata": {"uid": pod.metadata.uid, "resourceVersion": pod.metadata.resource_version},
            "status": {"conditions": conditions},
        });
        match write::patch_status(&self.context.namespaced::<Pod>(&key.namespace), key, &patch)
            .await
        {
            Err(problem) if !problem.is_not_found() => Err(problem),
            _ => Ok(()),
        }
    }
}

/// Whether a pod waits for this scheduler.
fn is_mine(pod: &Pod) -> bool {
    let Some(spec) = pod.spec.as_ref() else {
        return false;
    };
    let name = spec.scheduler_name.as_deref().unwrap_or(NAME);
    let gated = spec
        .scheduling_gates
        .as_ref()
        .is_some_and(|gates| !gates.is_empty());
    name == NAME
        && node(pod).is_empty()
        && !gated
        && !is_terminal(pod)
        && pod.metadata.deletion_timestamp.is_none()
}
