//! Keeps as many pods as each ReplicaSet asks for (upstream: `pkg/controller/replicaset`).

mod plan;
mod rank;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::caches::{Caches, orphans};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::owner::{self, controller_of, controller_reference};
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::replica_set::plan::Plan;
use crate::{selector, write};

const WORKERS: usize = 8;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(5));
    listen(&context.caches, &queue);
    context.caches.pods().ready().await;
    context.caches.replica_sets().ready().await;
    let recorder = context.recorder.named("replicaset-controller");
    let controller = Controller { context, recorder };
    let sync = |key| controller.sync(key);
    queue.work("replicaset", WORKERS, sync).await;
}

fn listen(caches: &Arc<Caches>, queue: &Queue<Key>) {
    let to = queue.clone();
    caches.replica_sets().listen(move |old, new| {
        if let Some(set) = new.or(old) {
            to.add(Key::of(set));
        }
    });
    let (to, weak) = (queue.clone(), Arc::downgrade(caches));
    caches.pods().listen(move |old, new| {
        for pod in [old, new].into_iter().flatten() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            match controller_of(&pod.metadata) {
                Some(owner) if owner.kind == "ReplicaSet" => {
                    to.add(Key::new(namespace, &owner.name));
                }
                Some(_) => {}
                None => {
                    let caches = weak.upgrade();
                    caches
                        .iter()
                        .for_each(|caches| add_matching(caches, pod, &to));
                }
            }
        }
    });
}

/// An orphan may be adopted by whoever selects it.
fn add_matching(caches: &Caches, pod: &Pod, queue: &Queue<Key>) {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for set in caches.replica_sets().in_namespace(namespace) {
        if plan::selects(&set, &pod.metadata) {
            queue.add(Key::of(&*set));
        }
    }
}

struct Controller {
    context: Context,
    recorder: Recorder,
}

impl Controller {
    async fn sync(&self, key: Key) -> Result<Again> {
        let Some(set) = self.context.caches.replica_sets().get(&key) else {
            return Ok(None);
        };
        let pods = self.context.namespaced::<Pod>(&key.namespace);
        let now = Timestamp::now();
        let plan = plan::plan(&set, &self.candidates(&set), &self.relatives(&set));
        let (status, again) = status::status(&set, &plan, now);
        let outcome = self.carry_out(&set, &pods, plan).await;
        let status = status::with_failure(status, outcome.as_ref().err(), now);
        self.write_status(&set, status).await?;
        outcome.map_err(|failure| failure.problem)?;
        Ok(again)
    }

    /// Its own pods, and those that it might adopt.
    fn candidates(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let pods = self.context.caches.pods();
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let mut candidates = pods.with_word(set.metadata.uid.as_deref().unwrap_or_default());
        candidates.extend(pods.with_word(&orphans(namespace)));
        candidates
    }

    /// Pods of all ReplicaSets of the same owner: pods that share a node with many of them go first.
    fn relatives(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let (sets, pods) = (
            self.context.caches.replica_sets(),
            self.context.caches.pods(),
        );
        let Some(owner) = controller_of(&set.metadata) else {
            return pods.with_word(set.metadata.uid.as_deref().unwrap_or_default());
        };
        let siblings = sets.with_word(&owner.uid);
        let uids = siblings
            .iter()
            .filter_map(|sibling| sibling.metadata.uid.as_deref());
        uids.flat_map(|uid| pods.with_word(uid)).collect()
    }

    async fn carry_out(&self, set: &ReplicaSet, api: &Api<Pod>, plan: Plan) -> Result<(), Failure> {
        self.claim(set, api, &plan).await.map_err(Failure::other)?;
        if plan.create > 0 {
            return self
                .create(set, api, plan.create)
                .await
                .map_err(Failure::create);
        }
        self.delete(set, api, &plan.delete)
            .await
            .map_err(Failure::delete)
    }

    async fn claim(&self, set: &ReplicaSet, api: &Api<Pod>, plan: &Plan) -> Result<()> {
        let reference = controller_reference(set);
        let adoptions = plan
            .adopt
            .iter()
            .map(|pod| (pod, owner::adoption(&reference, &pod.metadata)));
        let releases = plan
            .release
            .iter()
            .map(|pod| (pod, owner::release(&reference.uid, &pod.metadata)));
        for (pod, patch) in adoptions.chain(releases) {
            match write::patch(api, &Key::of(&**pod), &patch).await {
                Ok(written) => self.context.caches.pods().catch_up(&written).await,
                Err(problem) if problem.is_not_found() => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    }

    /// Makes pods in batches of 1, 2, 4 and so on, so that what fails fails once and not a thousand times.
    async fn create(&self, set: &ReplicaSet, api: &Api<Pod>, count: usize) -> Result<()> {
        let pod = plan::pod(set);
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            batch = batch.min(left);
            let creations = (0..batch).map(|_| self.create_one(set, api, &pod));
            let outcomes = join_all(creations).await;
            outcomes.into_iter().collect::<Result<()>>()?;
            left -= batch;
            batch *= 2;
        }
        Ok(())
    }

    async fn create_one(&self, set: &ReplicaSet, api: &Api<Pod>, pod: &Pod) -> Result<()> {
        match write::create(api, pod).await {
            Ok(made) => {
                let name = made.metadata.name.as_deref().unwrap_or_default();
                let note = Note::normal("SuccessfulCreate", format!("Created pod: {name}"));
                self.recorder.note(set, note);
                self.context.caches.pods().catch_up(&made).await;
                Ok(())
            }
            Err(problem) if problem.namespace_terminates() => Ok(()),
            Err(problem) => {
                let text = format!("Error creating: {}", problem.message());
                self.recorder.note(set, Note::warning("FailedCreate", text));
                Err(problem)
            }
        }
    }

    async fn delete(&self, set: &ReplicaSet, api: &Api<Pod>, pods: &[Arc<Pod>]) -> Result<()> {
        let outcomes = join_all(pods.iter().map(|pod| self.delete_one(set, api, pod))).await;
        outcomes.into_iter().collect()
    }

    async fn delete_one(&self, set: &ReplicaSet, api: &Api<Pod>, pod: &Pod) -> Result<()> {
        let (key, uid) = (
            Key::of(pod),
            pod.metadata.uid.as_deref().unwrap_or_default(),
        );
        match write::delete(api, &key, uid).await {
            Ok(()) => {
                let text = format!("Deleted pod: {}", key.name);
                self.recorder
                    .note(set, Note::normal("SuccessfulDelete", text));
                self.context
                    .caches
                    .pods()
                    .catch_up_with_deletion(&key, uid)
                    .await;
                Ok(())
            }
            Err(problem) => {
                let text = format!("Error deleting: {}", problem.message());
                self.recorder.note(set, Note::warning("FailedDelete", text));
                Err(problem)
            }
        }
    }

    async fn write_status(&self, set: &ReplicaSet, status: ReplicaSetStatus) -> Result<()> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let changed = ReplicaSet {
            status: Some(status),
            ..set.clone()
        };
        match write::replace_status(&self.context.namespaced(namespace), &changed).await {
            Ok(written) => self.context.caches.replica_sets().catch_up(&written).await,
            Err(problem) if problem.is_not_found() => {}
            Err(problem) => return Err(problem),
        }
        Ok(())
    }
}

/// A step that did not work, and what the ReplicaFailure condition calls it.
struct Failure {
    reason: Option<&'static str>,
    problem: Error,
}

impl Failure {
    fn other(problem: Error) -> Self {
        Self {
            reason: None,
            problem,
        }
    }

    fn create(problem: Error) -> Self {
        Self {
            reason: Some("FailedCreate"),
            problem,
        }
    }

    fn delete(problem: Error) -> Self {
        Self {
            reason: Some("FailedDelete"),
            problem,
        }
    }
}

/// Whether a selector that may be empty matches; an empty one of a workload selects nothing.
fn selected(set: &ReplicaSet, labels: Option<&selector::Labels>) -> bool {
    let wanted = set.spec.as_ref().map(|spec| &spec.selector);
    wanted.is_some_and(|wanted| !selector::is_empty(wanted) && selector::matches(wanted, labels))
}
