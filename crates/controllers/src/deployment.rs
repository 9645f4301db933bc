//! Rolls out what each Deployment asks for, by way of ReplicaSets (upstream: `pkg/controller/deployment`).

mod annotations;
mod plan;
mod rolling;
mod size;
mod status;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::caches::{Caches, orphans};
use crate::context::Context;
use crate::deployment::plan::{Plan, World};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::owner::{self, Claim, claim, controller_of, controller_reference};
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::{selector, write};

const WORKERS: usize = 8;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(5));
    listen(&context.caches, &queue);
    context.caches.deployments().ready().await;
    context.caches.replica_sets().ready().await;
    context.caches.pods().ready().await;
    let recorder = context.recorder.named("deployment-controller");
    let controller = Controller { context, recorder };
    let sync = |key| controller.sync(key);
    queue.work("deployment", WORKERS, sync).await;
}

fn listen(caches: &Arc<Caches>, queue: &Queue<Key>) {
    let to = queue.clone();
    caches.deployments().listen(move |old, new| {
        if let Some(deployment) = new.or(old) {
            to.add(Key::of(deployment));
        }
    });
    let (to, weak) = (queue.clone(), Arc::downgrade(caches));
    caches.replica_sets().listen(move |old, new| {
        for set in [old, new].into_iter().flatten() {
            let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
            match controller_of(&set.metadata) {
                Some(owner) if owner.kind == "Deployment" => {
                    to.add(Key::new(namespace, &owner.name));
                }
                Some(_) => {}
                None => {
                    let caches = weak.upgrade();
                    caches
                        .iter()
                        .for_each(|caches| add_matching(caches, set, &to));
                }
            }
        }
    });
    let (to, weak) = (queue.clone(), Arc::downgrade(caches));
    caches.pods().listen(move |old, new| {
        // Recreate waits for the last old pod to be gone.
        if let (Some(gone), None, Some(caches)) = (old, new, weak.upgrade()) {
            add_owner_of_pod(&caches, gone, &to);
        }
    });
}

fn add_matching(caches: &Caches, set: &ReplicaSet, queue: &Queue<Key>) {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    for deployment in caches.deployments().in_namespace(namespace) {
        if selects(&deployment, set) {
            queue.add(Key::of(&*deployment));
        }
    }
}

fn add_owner_of_pod(caches: &Caches, pod: &Pod, queue: &Queue<Key>) {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let owner = controller_of(&pod.metadata).map(|owner| Key::new(namespace, &owner.name));
    let set = owner.and_then(|key| caches.replica_sets().get(&key));
    let owner = set.as_ref().and_then(|set| controller_of(&set.metadata));
    if let Some(owner) = owner.filter(|owner| owner.kind == "Deployment") {
        queue.add(Key::new(namespace, &owner.name));
    }
}

fn selects(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let wanted = deployment.spec.as_ref().map(|spec| &spec.selector);
    let labels = set.metadata.labels.as_ref();
    wanted.is_some_and(|wanted| !selector::is_empty(wanted) && selector::matches(wanted, labels))
}

struct Controller {
    context: Context,
    recorder: Recorder,
}

impl Controller {
    async fn sync(&self, key: Key) -> Result<Again> {
        let Some(deployment) = self.context.caches.deployments().get(&key) else {
            return Ok(None);
        };
        if deployment
            .spec
            .as_ref()
            .is_none_or(|spec| selector::is_empty(&spec.selector))
        {
            let text = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder
                .note(&*deployment, Note::warning("SelectingAll", text));
            return Ok(None);
        }
        let sets = self.own_sets(&deployment).await?;
        let world = World {
            deployment: &deployment,
            pods: self.pods_of(&sets),
            sets,
            now: Timestamp::now(),
        };
        let plan = plan::plan(world);
        let again = plan.again;
        self.carry_out(&deployment, plan).await?;
        Ok(again)
    }

    /// Its ReplicaSets, after taking over and letting go of those that need it.
    async fn own_sets(&self, deployment: &Deployment) -> Result<Vec<ReplicaSet>> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let cache = self.context.caches.replica_sets();
        let mut candidates =
            cache.with_word(deployment.metadata.uid.as_deref().unwrap_or_default());
        candidates.extend(cache.with_word(&orphans(namespace)));
        let reference = controller_reference(deployment);
        let api = self.context.namespaced::<ReplicaSet>(namespace);
        let mut own = Vec::new();
        for set in candidates {
            let patch = match claim(
                &deployment.metadata,
                &set.metadata,
                selects(deployment, &set),
            ) {
                Claim::Keep => {
                    own.push((*set).clone());
                    continue;
                }
                Claim::Ignore => continue,
                Claim::Adopt => owner::adoption(&reference, &set.metadata),
                Claim::Release => owner::release(&reference.uid, &set.metadata),
            };
            match write::patch(&api, &Key::of(&*set), &patch).await {
                Ok(written) => {
                    cache.catch_up(&written).await;
                    if controller_of(&written.metadata).is_some() {
                        own.push(written);
                    }
                }
                Err(problem) if problem.is_not_found() => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(own)
    }

    fn pods_of(&self, sets: &[ReplicaSet]) -> Vec<Arc<Pod>> {
        let uids = sets.iter().filter_map(|set| set.metadata.uid.as_deref());
        uids.flat_map(|uid| self.context.caches.pods().with_word(uid))
            .collect()
    }

    async fn carry_out(&self, deployment: &Deployment, plan: Plan) -> Result<()> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let api = self.context.namespaced::<ReplicaSet>(namespace);
        let cache = self.context.caches.replica_sets();
        if let Some((set, note)) = plan.create {
            match write::create(&api, &set).await {
                Ok(made) => cache.catch_up(&made).await,
                Err(problem) => return self.not_created(deployment, &api, &set, problem).await,
            }
            note.into_iter()
                .for_each(|note| self.recorder.note(deployment, note));
        }
        for (set, notes) in plan.update {
            let written = write::replace(&api, &set).await?;
            cache.catch_up(&written).await;
            notes
                .into_iter()
                .for_each(|note| self.recorder.note(deployment, note));
        }
        for set in plan.delete {
            let (key, uid) = (
                Key::of(&set),
                set.metadata.uid.as_deref().unwrap_or_default(),
            );
            write::delete(&api, &key, uid).await?;
            cache.catch_up_with_deletion(&key, uid).await;
        }
        match plan.deployment {
            Some(changed) => self.write_status(&changed).await,
            None => Ok(()),
        }
    }

    async fn write_status(&self, changed: &Deployment) -> Result<()> {
        let namespace = changed.metadata.namespace.as_deref().unwrap_or_default();
        let written = write::replace_status(&self.context.namespaced(namespace), changed).await;
        match written {
            Ok(written) => self.context.caches.deployments().catch_up(&written).await,
            Err(problem) if problem.is_not_found() => {}
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    /// A name that is taken by something else asks for another hash; any other refusal shows as a condition.
    async fn not_created(
        &self,
        deployment: &Deployment,
        api: &Api<ReplicaSet>,
        set: &ReplicaSet,
        problem: Error,
    ) -> Result<()> {
        if problem.namespace_terminates() {
            return Ok(());
        }
        let mut changed = deployment.clone();
        let status = changed.status.get_or_insert_default();
        if problem.already_exists() {
            let name = set.metadata.name.as_deref().unwrap_or_default();
            let taken = api.get_opt(name).await.ok().flatten();
            if taken.is_some_and(|taken| is_own(deployment, &taken)) {
                return Err(problem);
            }
            status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        } else {
            let name = set.metadata.name.as_deref().unwrap_or_default();
            let text = format!(
                "Failed to create new replica set {name:?}: {}",
                problem.message()
            );
            let condition = status::condition(
                status::PROGRESSING,
                "False",
                "ReplicaSetCreateError",
                text.clone(),
                Timestamp::now(),
            );
            if status::deadline(deployment).is_some() {
                status::set(status, condition);
            }
            self.recorder
                .note(deployment, Note::warning("ReplicaSetCreateError", text));
        }
        if changed != *deployment {
            self.write_status(&changed).await?;
        }
        Err(problem)
    }
}

/// Whether a ReplicaSet is the Deployment's and has its current template: then the cache was behind.
fn is_own(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let owned =
        controller_of(&set.metadata).map(|owner| &owner.uid) == deployment.metadata.uid.as_ref();
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let of_set = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    owned && matches!((template, of_set), (Some(a), Some(b)) if template::equal(a, b))
}
