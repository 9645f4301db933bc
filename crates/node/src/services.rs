//! The Services of the cluster, as far as containers' variables need them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};

use crate::pod::service_links::{self, Link};

/// The namespace whose `kubernetes` Service every pod is told of.
const MASTER_NAMESPACE: &str = "default";

/// The API server's own Service.
const MASTER_SERVICE: &str = "kubernetes";

type Links = BTreeMap<String, BTreeMap<String, Link>>;

/// Services by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct ServiceLinks {
    links: RwLock<Links>,
}

impl ServiceLinks {
    /// The variables for a pod: its namespace's Services unless it wants none, and the API server's.
    pub(crate) fn variables(&self, pod: &Pod) -> BTreeMap<String, String> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let wanted = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.enable_service_links)
            .unwrap_or(true);
        let master = links
            .get(MASTER_NAMESPACE)
            .and_then(|services| services.get(MASTER_SERVICE));
        let own = links.get(namespace).filter(|_| wanted);
        service_links::variables(
            master
                .into_iter()
                .chain(own.into_iter().flat_map(BTreeMap::values)),
        )
    }

    /// Follows the cluster's Services for ever.
    pub(crate) async fn follow(&self, client: kube::Client) {
        let api: Api<Service> = Api::all(client);
        let stream = watcher(api, watcher::Config::default()).default_backoff();
        pin_mut!(stream);
        let mut incoming = Links::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(watcher::Event::Init) => incoming.clear(),
                Ok(watcher::Event::InitApply(service)) => set(&mut incoming, &service),
                Ok(watcher::Event::InitDone) => *self.write() = std::mem::take(&mut incoming),
                Ok(watcher::Event::Apply(service)) => set(&mut self.write(), &service),
                Ok(watcher::Event::Delete(service)) => remove(&mut self.write(), &service),
                Err(error) => tracing::debug!(%error, "watching services"),
            }
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Links> {
        self.links.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(links: &mut Links, service: &Service) {
    match Link::of(service) {
        Some(link) => {
            let namespace = service.metadata.namespace.clone().unwrap_or_default();
            links
                .entry(namespace)
                .or_default()
                .insert(link.name.to_string(), link);
        }
        None => remove(links, service),
    }
}

fn remove(links: &mut Links, service: &Service) {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if let Some(services) = links.get_mut(namespace) {
        services.remove(name);
    }
}
