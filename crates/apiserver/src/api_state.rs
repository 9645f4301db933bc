//! What every request works on: the caches, the store behind them, and the settings.

use std::sync::Arc;

use api::resource::Resource;
use api::status::Status;
use jiff::Timestamp;
use serde_json::Value;
use store::StoreError;
use tokio::sync::watch;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::openapi::Documents;
use crate::quota::Locks;
use crate::registry::{Registry, Stored};
use crate::reserve::{Hook, Reservation, WriteContext};
use crate::routes::Target;
use crate::write::Old;

/// Shared by all requests.
pub(crate) struct Api {
    pub(crate) registry: Arc<Registry>,
    pub(crate) config: Config,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) metrics: Metrics,
    pub(crate) documents: Documents,
    pub(crate) quota_locks: Locks,
    pub(crate) kubelet: Option<crate::kubelet::Kubelet>,
    /// Where clients reach it, for discovery.
    pub(crate) address: String,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Api {
    /// The stored object, read after everything that was durable when this was called.
    pub(crate) async fn stored(
        &self,
        target: &Target,
        name: &str,
    ) -> Result<Option<Arc<Stored>>, Status> {
        self.fresh().await?;
        Ok(self
            .registry
            .of(target.resource)
            .get(&target.namespace, name))
    }

    /// As [`Api::stored`], parsed, for a write.
    pub(crate) async fn current(&self, target: &Target, name: &str) -> Result<Option<Old>, Status> {
        let stored = self.stored(target, name).await?;
        Ok(stored.map(|stored| Old {
            object: stored.raw_value(),
            stored,
        }))
    }

    /// As [`Api::current`]; that there is none is the refusal.
    pub(crate) async fn existing(&self, target: &Target) -> Result<Old, Status> {
        let old = self.current(target, &target.name).await?;
        old.ok_or_else(|| not_found(target.resource, &target.name))
    }

    /// Waits until the caches have seen everything that is durable now.
    pub(crate) async fn fresh(&self) -> Result<store::Revision, Status> {
        self.registry
            .fresh()
            .await
            .map_err(|error| store_failed(&error))
    }

    /// Where clients reach this server.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the server is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns when the server is about to end.
    pub(crate) async fn stopping(&self) {
        let mut stop = self.stop.clone();
        // Without a sender nobody is there to go on for.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// A namespace, as the cache has it.
    pub(crate) fn namespace(&self, name: &str) -> Option<Value> {
        self.registry
            .kind("", "namespaces")
            .get("", name)
            .map(|found| found.value())
    }

    /// Asks the kind's hook, if it has one.
    pub(crate) async fn reserve(&self, context: WriteContext<'_>) -> Result<Reservation, Status> {
        match self.hook(context.resource) {
            Some((_, _, hook)) => hook.reserve(context).await,
            None => Ok(Reservation::default()),
        }
    }

    fn hook(&self, resource: &Resource) -> Option<&Hook> {
        let ours = |hook: &&Hook| hook.0 == resource.group && hook.1 == resource.plural;
        self.hooks.iter().find(ours)
    }
}

/// The time as objects carry it.
pub(crate) fn now() -> String {
    time_text(Timestamp::now())
}

/// A time as objects carry it, whole seconds.
pub(crate) fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// 404 for an object of this kind.
pub(crate) fn not_found(resource: &Resource, name: &str) -> Status {
    Status::not_found(resource.group, resource.plural, name)
}

/// What a failure of the store means to a client.
pub(crate) fn store_failed(error: &StoreError) -> Status {
    match error {
        StoreError::Compacted { .. } => Status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a \
             new list without the continue parameter.",
        ),
        other => {
            tracing::error!(error = %other, "the store failed");
            Status::internal(other.to_string())
        }
    }
}
