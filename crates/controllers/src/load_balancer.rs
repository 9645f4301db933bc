//! Gives each Service of type LoadBalancer its address (upstream: service-lb-controller).
//!
//! The addresses in Services' statuses are the only record of what is given out.

mod plan;
pub mod pools;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;

pub use self::plan::ADDRESSES_ANNOTATION;
use self::plan::{Plan, addresses};
pub use self::pools::Pools;
use crate::config::{Config, Selection};
use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::write;

/// How soon a Service that got no address is looked at again; it is looked at at once when one is given back.
const RETRY: Duration = Duration::from_secs(30);

/// Runs this controller alone, as a load balancer in somebody else's cluster does.
pub async fn run(mut config: Config, shutdown: impl Future<Output = ()> + Send) {
    config.enabled = Selection::only("service-lb-controller");
    crate::run(config, shutdown).await;
}

/// Runs the controller among the others; without pools there is nothing to do.
pub(crate) async fn run_in(context: Context) {
    if context.config.pools.is_empty() {
        return;
    }
    let queue = Queue::new(Duration::from_millis(50));
    let without = Arc::new(Mutex::new(BTreeSet::<Key>::new()));
    let (to, waiting) = (queue.clone(), Arc::clone(&without));
    context.caches.services().listen(move |old, new| {
        if let Some(service) = new.or(old) {
            to.add(Key::of(service));
        }
        let held = |service: Option<&Service>| service.map(addresses).unwrap_or_default();
        if held(old).iter().any(|address| !held(new).contains(address)) {
            let waiting =
                std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(|key| to.add(key));
        }
    });
    context.caches.services().ready().await;
    let recorder = context.recorder.named("service-controller");
    let controller = Controller {
        context,
        recorder,
        without,
    };
    // One worker: two at a time might give the same address twice.
    queue
        .work("service-lb", 1, |key| controller.sync(key))
        .await;
}

struct Controller {
    context: Context,
    recorder: Recorder,
    without: Arc<Mutex<BTreeSet<Key>>>,
}

impl Controller {
    async fn sync(&self, key: Key) -> Result<Again> {
        let cache = self.context.caches.services();
        let Some(service) = cache.get(&key) else {
            return Ok(None);
        };
        match plan::plan(&service, &cache.all(), &self.context.config.pools) {
            Plan::Nothing => Ok(None),
            Plan::Give(patch) => {
                self.note(
                    &service,
                    Note::normal("EnsuringLoadBalancer", "Ensuring load balancer"),
                );
                self.write(&key, &patch).await?;
                self.note(
                    &service,
                    Note::normal("EnsuredLoadBalancer", "Ensured load balancer"),
                );
                Ok(None)
            }
            Plan::TakeBack(patch) => {
                self.note(
                    &service,
                    Note::normal("DeletingLoadBalancer", "Deleting load balancer"),
                );
                self.write(&key, &patch).await?;
                self.note(
                    &service,
                    Note::normal("DeletedLoadBalancer", "Deleted load balancer"),
                );
                Ok(None)
            }
            Plan::Refuse(why) => {
                let text =
                    format!("Error syncing load balancer: failed to ensure load balancer: {why}");
                self.note(&service, Note::warning("SyncLoadBalancerFailed", text));
                self.without
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(key);
                Ok(Some(RETRY))
            }
        }
    }

    fn note(&self, service: &Service, note: Note) {
        self.recorder.note(service, note);
    }

    async fn write(&self, key: &Key, patch: &serde_json::Value) -> Result<()> {
        let api: Api<Service> = self.context.namespaced(&key.namespace);
        match write::patch_status(&api, key, patch).await {
            Ok(written) => self.context.caches.services().catch_up(&written).await,
            // Without its last finalizer a deleted Service is gone.
            Err(problem) if problem.is_not_found() => {}
            Err(problem) => return Err(problem),
        }
        Ok(())
    }
}
