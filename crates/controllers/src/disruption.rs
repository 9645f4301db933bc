//! Says how many pods each PodDisruptionBudget lets go (upstream: `pkg/controller/disruption`).

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::caches::Caches;
use crate::context::Context;
use crate::disruption::plan::{Scale, plan, selects};
use crate::error::Result;
use crate::key::Key;
use crate::owner::controller_of;
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::write;

const WORKERS: usize = 4;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(5));
    listen(&context.caches, &queue);
    let caches = &context.caches;
    caches.pods().ready().await;
    caches.replica_sets().ready().await;
    caches.deployments().ready().await;
    let recorder = context.recorder.named("controllermanager");
    let sync = |key| sync(&context, &recorder, key);
    queue.work("disruption", WORKERS, sync).await;
}

fn listen(caches: &Arc<Caches>, queue: &Queue<Key>) {
    let to = queue.clone();
    caches.disruption_budgets().listen(move |_, new| {
        if let Some(budget) = new {
            to.add(Key::of(budget));
        }
    });
    let (to, weak) = (queue.clone(), Arc::downgrade(caches));
    caches.pods().listen(move |old, new| {
        let (Some(caches), Some(pod)) = (weak.upgrade(), new.or(old)) else {
            return;
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        for budget in caches.disruption_budgets().in_namespace(namespace) {
            if [old, new]
                .into_iter()
                .flatten()
                .any(|pod| selects(&budget, pod))
            {
                to.add(Key::of(&*budget));
            }
        }
    });
}

async fn sync(context: &Context, recorder: &Recorder, key: Key) -> Result<Again> {
    let caches = &context.caches;
    let Some(budget) = caches.disruption_budgets().get(&key) else {
        return Ok(None);
    };
    let mut pods = caches.pods().in_namespace(&key.namespace);
    pods.retain(|pod| selects(&budget, pod));
    let scale = |owner: &OwnerReference| scale_of(caches, &key.namespace, owner);
    let plan = plan(&budget, &pods, scale, Timestamp::now());
    for note in plan.notes {
        recorder.note(&*budget, note);
    }
    if budget.status.as_ref() == Some(&plan.status) {
        return Ok(plan.again);
    }
    let changed = PodDisruptionBudget {
        status: Some(plan.status),
        ..(*budget).clone()
    };
    match write::replace_status(&context.namespaced(&key.namespace), &changed).await {
        Ok(written) => caches.disruption_budgets().catch_up(&written).await,
        Err(problem) if problem.is_not_found() => {}
        Err(problem) => return Err(problem),
    }
    Ok(plan.again)
}

/// How many pods the controller of a pod wants, with the uid of the one who decides that.
fn scale_of(caches: &Caches, namespace: &str, owner: &OwnerReference) -> Option<Scale> {
    let key = Key::new(namespace, &owner.name);
    let scale = |uid: &Option<String>, replicas: Option<i32>| Scale {
        uid: uid.clone().unwrap_or_default(),
        replicas: replicas.unwrap_or(1),
    };
    match owner.kind.as_str() {
        "ReplicaSet" => {
            let set = caches.replica_sets().get(&key)?;
            if let Some(parent) = controller_of(&set.metadata).filter(|it| it.kind == "Deployment")
            {
                let key = Key::new(namespace, &parent.name);
                let deployment = caches.deployments().get(&key)?;
                let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
                return Some(scale(&deployment.metadata.uid, replicas));
            }
            let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
            Some(scale(&set.metadata.uid, replicas))
        }
        _ => None,
    }
}

/// A note of the kind that says what stands in the way of an answer.
fn failed(text: &str) -> Note {
    let text = format!("Failed to calculate the number of expected pods: {text}");
    Note::warning("CalculateExpectedPodCountFailed", text)
}

/// The name of a pod, for messages.
fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}
