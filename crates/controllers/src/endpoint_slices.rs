//! Writes down which pods serve: the EndpointSlices of Services with a selector
//! (upstream: `pkg/controller/endpointslice`).

pub(crate) mod endpoint;
mod hints;
pub(crate) mod pack;
pub(crate) mod plan;
#[cfg(test)]
mod tests;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::cache::Cache;
use crate::caches::{Caches, SERVICE_NAME_LABEL};
use crate::context::Context;
use crate::endpoint_slices::hints::{Distribution, distribution};
use crate::endpoint_slices::plan::{MANAGED_BY_LABEL, MANAGER, Plan, World};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::services::{self, Triggers, selected_pods, selector};
use crate::write;

const WORKERS: usize = 8;

/// How soon a slice that somebody wrote is looked at: our own writes come back here too, and mostly
/// there is nothing to do about them.
const AFTER_SLICE_CHANGE: Duration = Duration::from_secs(1);

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_secs(1));
    let without_node = Arc::new(Mutex::new(BTreeSet::new()));
    services::listen(&context.caches, &queue);
    listen_to_slices(context.caches.endpoint_slices(), MANAGER, &queue);
    listen_to_nodes(&context.caches, &without_node, &queue);
    context.caches.services().ready().await;
    context.caches.pods().ready().await;
    context.caches.nodes().ready().await;
    context.caches.endpoint_slices().ready().await;
    let controller = Controller {
        recorder: context.recorder.named("endpoint-slice-controller"),
        context,
        triggers: Triggers::default(),
        without_node,
    };
    let sync = |key| controller.sync(key);
    queue.work("endpointslice", WORKERS, sync).await;
}

/// Queues the Service of a slice of this manager that somebody wrote or deleted.
pub(crate) fn listen_to_slices(
    slices: &Cache<EndpointSlice>,
    manager: &'static str,
    queue: &Queue<Key>,
) {
    let to = queue.clone();
    slices.listen(move |old, new| {
        let (Some(slice), true) = (
            new.or(old),
            [old, new]
                .into_iter()
                .flatten()
                .any(|slice| is_of(slice, manager)),
        ) else {
            return;
        };
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL));
        let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
        match service.map(|service| Key::new(namespace, service)) {
            Some(key) if new.is_none() => to.add(key),
            Some(key) => to.add_after(key, AFTER_SLICE_CHANGE),
            None => {}
        }
    });
}

/// Whether a slice is this manager's.
pub(crate) fn is_of(slice: &EndpointSlice, manager: &str) -> bool {
    let labels = slice.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(MANAGED_BY_LABEL))
        .is_some_and(|by| by == manager)
}

/// A node that appears is waited for by Services whose pods run on it; any change may move `Auto` hints.
fn listen_to_nodes(
    caches: &Arc<Caches>,
    without_node: &Arc<Mutex<BTreeSet<Key>>>,
    queue: &Queue<Key>,
) {
    let (to, weak, waiting) = (
        queue.clone(),
        Arc::downgrade(caches),
        Arc::clone(without_node),
    );
    caches.nodes().listen(move |old, new| {
        if old.is_none() {
            let waiting =
                std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(|key| to.add(key));
        }
        let share =
            |node: &Node| topology::shares(&[Arc::new(node.clone()), Arc::new(other_zone())]);
        if let Some(caches) = weak.upgrade()
            && old.map(share) != new.map(share)
        {
            let services = caches.services().all();
            let auto = services
                .iter()
                .filter(|service| distribution(service) == Distribution::Auto);
            auto.for_each(|service| to.add(Key::of(&**service)));
        }
    });
}

/// A node to measure another one by.
fn other_zone() -> Node {
    let node = serde_json::json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "-"}},
        "status": {"allocatable": {"cpu": "1"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    serde_json::from_value(node).expect("a node")
}

struct Controller {
    context: Context,
    recorder: Recorder,
    triggers: Triggers,
    without_node: Arc<Mutex<BTreeSet<Key>>>,
}

impl Controller {
    async fn sync(&self, key: Key) -> Result<Again> {
        let caches = &self.context.caches;
        let Some(service) = caches.services().get(&key) else {
            // Its slices go with it, by the garbage collector.
            self.triggers.forget(&key);
            return Ok(None);
        };
        if selector(&service).is_none() {
            return Ok(None);
        }
        let pods = selected_pods(caches, &service);
        let nodes = caches.nodes().all();
        let mut slices = caches.endpoint_slices().with_word(&key.to_string());
        slices.retain(|slice| is_of(slice, MANAGER) && slice.metadata.deletion_timestamp.is_none());
        let shares = match distribution(&service) {
            Distribution::Auto => topology::shares(&nodes),
            _ => None,
        };
        let by_name = nodes.into_iter().map(|node| (Key::of(&*node).name, node));
        let plan = plan::plan(&World {
            service: &service,
            pods: &pods,
            slices: &slices,
            nodes: &by_name.collect::<BTreeMap<_, _>>(),
            shares: &shares,
            trigger: self.triggers.newest(&service, &pods),
        });
        self.carry_out(&service, &key, plan).await.map(|()| None)
    }

    async fn carry_out(&self, service: &Service, key: &Key, mut plan: Plan) -> Result<()> {
        let problems = std::mem::take(&mut plan.problems);
        plan.notes
            .drain(..)
            .for_each(|note| self.recorder.note(service, note));
        let written = write_slices(&self.context, &key.namespace, plan.into()).await;
        if !problems.is_empty() {
            self.without_node
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key.clone());
        }
        let failure = match written {
            Err(problem) if problem.namespace_terminates() => return Ok(()),
            Err(problem) => problem,
            Ok(()) if problems.is_empty() => return Ok(()),
            Ok(()) => Error::Retry(aggregate(&problems)),
        };
        let text = format!(
            "Error updating Endpoint Slices for Service {key}: {}",
            failure.message()
        );
        self.recorder
            .note(service, Note::warning("FailedToUpdateEndpointSlices", text));
        Err(failure)
    }
}

/// Several problems as one text (`utilerrors.Aggregate`).
fn aggregate(problems: &[String]) -> String {
    match problems {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Slices to be written, by whichever controller.
#[derive(Default)]
pub(crate) struct SliceChanges {
    pub(crate) create: Vec<EndpointSlice>,
    pub(crate) update: Vec<EndpointSlice>,
    pub(crate) delete: Vec<Arc<EndpointSlice>>,
}

impl From<Plan> for SliceChanges {
    fn from(plan: Plan) -> Self {
        Self {
            create: plan.create,
            update: plan.update,
            delete: plan.delete,
        }
    }
}

/// Writes slices and waits until the cache shows them, so that the next look does not do it again.
pub(crate) async fn write_slices(
    context: &Context,
    namespace: &str,
    changes: SliceChanges,
) -> Result<()> {
    let api = context.namespaced::<EndpointSlice>(namespace);
    let cache = context.caches.endpoint_slices();
    for slice in changes.create {
        cache.catch_up(&write::create(&api, &slice).await?).await;
    }
    for slice in changes.update {
        cache.catch_up(&write::replace(&api, &slice).await?).await;
    }
    for slice in changes.delete {
        let (key, uid) = (
            Key::of(&*slice),
            slice.metadata.uid.as_deref().unwrap_or_default(),
        );
        write::delete(&api, &key, uid).await?;
        cache.catch_up_with_deletion(&key, uid).await;
    }
    Ok(())
}
