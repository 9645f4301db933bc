//! The older form of a Service's endpoints, one object per Service (upstream: `pkg/controller/endpoint`).

mod plan;
mod subsets;
#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Service};

pub(crate) use self::subsets::repack;
use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::services::{self, Triggers, selected_pods, selector};
use crate::write;

const WORKERS: usize = 8;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(100));
    services::listen(&context.caches, &queue);
    let to = queue.clone();
    context.caches.endpoints().listen(move |old, new| {
        if let (Some(gone), None) = (old, new) {
            to.add(Key::of(gone));
        }
    });
    context.caches.services().ready().await;
    context.caches.pods().ready().await;
    context.caches.endpoints().ready().await;
    let controller = Controller {
        recorder: context.recorder.named("endpoint-controller"),
        context,
        triggers: Triggers::default(),
    };
    let sync = |key| controller.sync(key);
    queue.work("endpoints", WORKERS, sync).await;
}

struct Controller {
    context: Context,
    recorder: Recorder,
    triggers: Triggers,
}

impl Controller {
    async fn sync(&self, key: Key) -> Result<Again> {
        let caches = &self.context.caches;
        let current = caches.endpoints().get(&key);
        let Some(service) = caches.services().get(&key) else {
            self.triggers.forget(&key);
            if let Some(left) = current {
                let uid = left.metadata.uid.as_deref().unwrap_or_default();
                write::delete(
                    &self.context.namespaced::<Endpoints>(&key.namespace),
                    &key,
                    uid,
                )
                .await?;
            }
            return Ok(None);
        };
        if selector(&service).is_none() {
            return Ok(None);
        }
        let pods = selected_pods(caches, &service);
        let trigger = self.triggers.newest(&service, &pods);
        match plan::plan(&service, &pods, current.as_deref(), trigger.as_ref()) {
            Some(endpoints) => self.write(&service, endpoints).await.map(|()| None),
            None => Ok(None),
        }
    }

    async fn write(&self, service: &Service, endpoints: Endpoints) -> Result<()> {
        let key = Key::of(service);
        let api = self.context.namespaced::<Endpoints>(&key.namespace);
        let new = endpoints.metadata.resource_version.is_none();
        let written = if new {
            write::create(&api, &endpoints).await
        } else {
            write::replace(&api, &endpoints).await
        };
        let problem = match written {
            Ok(written) => {
                self.context.caches.endpoints().catch_up(&written).await;
                return Ok(());
            }
            Err(problem) if problem.namespace_terminates() => return Ok(()),
            Err(problem) => problem,
        };
        let note = if new {
            let text = format!(
                "Failed to create endpoint for service {key}: {}",
                problem.message()
            );
            Note::warning("FailedToCreateEndpoint", text)
        } else {
            let text = format!("Failed to update endpoint {key}: {}", problem.message());
            Note::warning("FailedToUpdateEndpoint", text)
        };
        self.recorder.note(&endpoints, note);
        Err(problem)
    }
}
