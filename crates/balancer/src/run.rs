//! The loop: watches and checks in, one plan out, one place that carries it out.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use thiserror::Error;
use tokio::sync::Notify;

use crate::config::Config;
use crate::health::Checks;
use crate::objects;
use crate::plan::plan;
use crate::sync::Kernel;

/// After a refused change; the next try starts from what the kernel really holds.
const RETRY: Duration = Duration::from_secs(1);

/// Why the balancer cannot work.
#[derive(Debug, Error)]
pub enum BalancerError {
    /// Links and addresses.
    #[error(transparent)]
    Netlink(#[from] kernel::netlink::NetlinkError),
    /// Rules.
    #[error(transparent)]
    Nft(#[from] kernel::nft::Error),
    /// The caches ended before they were filled.
    #[error("the watch of {0} ended: is the API server's address in the kubeconfig right?")]
    Watch(&'static str),
}

/// Runs until `shutdown`. What is in the kernel stays: connections go on, and the next balancer adopts it.
///
/// # Errors
/// When the kernel cannot be read at the start: no such link, no root, no nftables.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BalancerError> {
    let changed = Arc::new(Notify::new());
    let (services, services_task) = cache::<Service>(&config, &changed);
    let (nodes, nodes_task) = cache::<Node>(&config, &changed);
    let work = balance(config, changed, services, nodes);
    tokio::select! {
        result = work => result,
        () = shutdown => Ok(()),
        () = services_task => Err(BalancerError::Watch("services")),
        () = nodes_task => Err(BalancerError::Watch("nodes")),
    }
}

async fn balance(
    config: Config,
    changed: Arc<Notify>,
    services: Store<Service>,
    nodes: Store<Node>,
) -> Result<(), BalancerError> {
    let mut kernel = Kernel::adopt(&config.interface, config.addresses.clone()).await?;
    let (mut checks, mut verdicts) = Checks::new(config.check_interval);
    services
        .wait_until_ready()
        .await
        .map_err(|_| BalancerError::Watch("services"))?;
    nodes
        .wait_until_ready()
        .await
        .map_err(|_| BalancerError::Watch("nodes"))?;
    let mut ready = Some(config.ready);
    loop {
        let (services, nodes) = (services.state(), nodes.state());
        let model = objects::model(
            services.iter().map(Arc::as_ref),
            nodes.iter().map(Arc::as_ref),
        );
        checks.follow(&model);
        let applied = kernel.apply(&plan(&model, &checks.health())).await;
        match applied {
            Ok(()) => ready.take().into_iter().for_each(|ready| ready()),
            Err(error) => {
                tracing::error!(%error, "cannot tell the kernel; trying again");
                tokio::time::sleep(RETRY).await;
                kernel = Kernel::adopt(&config.interface, config.addresses.clone()).await?;
                continue;
            }
        }
        loop {
            tokio::select! {
                () = changed.notified() => break,
                Some(verdict) = verdicts.recv() => {
                    if checks.note(verdict) {
                        break;
                    }
                }
            }
        }
    }
}

/// A cache of all objects of a kind, and the task that feeds it; every change is notified.
fn cache<K>(config: &Config, changed: &Arc<Notify>) -> (Store<K>, impl Future<Output = ()> + use<K>)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: k8s_openapi::serde::de::DeserializeOwned,
{
    let (store, writer) = reflector::store();
    let api: Api<K> = Api::all(config.client.clone());
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    (store, notify_each(stream, Arc::clone(changed)))
}

async fn notify_each<T>(
    stream: impl Stream<Item = Result<T, watcher::Error>>,
    changed: Arc<Notify>,
) {
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(_) => changed.notify_one(),
            Err(error) => tracing::warn!(%error, "watch interrupted; it goes on by itself"),
        }
    }
}
