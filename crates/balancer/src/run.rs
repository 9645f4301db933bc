//! The loop: watches and checks in, one plan out, one place that carries it out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use thiserror::Error;
use tokio::sync::{Notify, mpsc};

use crate::config::Config;
use crate::forget::Forget;
use crate::health::{Checks, Pace, Standing, Verdict};
use crate::model::{Check, Model};
use crate::objects;
use crate::plan::{Desired, Health, plan};
use crate::sync::Kernel;

/// After a refused change; the next try starts from what the kernel really holds.
const RETRY: Duration = Duration::from_secs(1);
/// So long beyond their patience the first words of all checks are waited for.
const SETTLE: Duration = Duration::from_secs(2);

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
    mut config: Config,
    changed: Arc<Notify>,
    services: Store<Service>,
    nodes: Store<Node>,
) -> Result<(), BalancerError> {
    let ready = std::mem::replace(&mut config.ready, Box::new(|| ()));
    let kernel = Kernel::adopt(&config.interface, config.addresses.clone()).await?;
    wait_until_filled(&services, "services").await?;
    wait_until_filled(&nodes, "nodes").await?;
    let (checks, verdicts) = Checks::new(Pace {
        interval: config.check_interval,
        patience: config.check_patience,
    });
    let mut balancer = Balancer {
        config,
        services,
        nodes,
        checks,
        verdicts,
        kernel,
        ready: Some(ready),
        done: None,
        desired: Arc::default(),
        forget: Forget::default(),
    };
    balancer.settle().await;
    loop {
        balancer.bring_up_to_date().await?;
        balancer.wait_for_news(&changed).await;
    }
}

async fn wait_until_filled<K>(store: &Store<K>, kind: &'static str) -> Result<(), BalancerError>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    let filled = store.wait_until_ready().await;
    filled.map_err(|_| BalancerError::Watch(kind))
}

/// The state between changes.
struct Balancer {
    config: Config,
    services: Store<Service>,
    nodes: Store<Node>,
    checks: Checks,
    verdicts: mpsc::Receiver<Verdict>,
    kernel: Kernel,
    ready: Option<Box<dyn FnOnce() + Send>>,
    /// What the kernel was made from.
    done: Option<(Model, Health)>,
    desired: Arc<Desired>,
    /// Connections that go nowhere any more.
    forget: Forget,
}

impl Balancer {
    fn model(&self) -> Model {
        let (services, nodes) = (self.services.state(), self.nodes.state());
        objects::model(
            services.iter().map(Arc::as_ref),
            nodes.iter().map(Arc::as_ref),
            &self.config.pools,
        )
    }

    /// Waits for every check's first word. What a predecessor left serves meanwhile, and better than rules
    /// would that know of no healthy node.
    async fn settle(&mut self) {
        self.checks.follow(&self.model());
        let settled = async {
            while !self.checks.are_settled() {
                let Some(verdict) = self.verdicts.recv().await else {
                    return;
                };
                self.checks.note(verdict);
            }
        };
        let most = self.config.check_patience + SETTLE;
        tokio::time::timeout(most, settled).await.ok();
    }

    /// Brings the kernel to where the objects and checks are. A refused change is tried again, from what
    /// the kernel really holds.
    async fn bring_up_to_date(&mut self) -> Result<(), BalancerError> {
        loop {
            let now = (self.model(), self.checks.health());
            self.checks.follow(&now.0);
            if self.done.as_ref() == Some(&now) {
                self.forget(&now.0);
                return Ok(());
            }
            let desired = Arc::new(plan(&now.0, &now.1, &self.desired));
            match self.kernel.apply(&desired).await {
                Ok(()) => {
                    self.done = Some(now);
                    self.desired = desired;
                    self.ready.take().into_iter().for_each(|ready| ready());
                }
                Err(error) => {
                    tracing::error!(%error, "cannot tell the kernel; trying again");
                    self.done = None;
                    tokio::time::sleep(RETRY).await;
                    self.kernel.adopt_again(&self.config.interface).await?;
                }
            }
        }
    }

    /// In a thread of its own: it lists connections, and the next change should not wait for that.
    fn forget(&mut self, model: &Model) {
        let forget = std::mem::take(&mut self.forget);
        if forget == Forget::default() {
            return;
        }
        let frontends = model.frontends.iter();
        let frontends = frontends
            .map(|f| SocketAddr::new(f.address, f.port))
            .collect();
        tokio::task::spawn_blocking(move || match forget.carry_out(&frontends) {
            Ok(count) => tracing::info!(count, "forgot connections to nodes that are gone"),
            Err(error) => {
                tracing::warn!(%error, "cannot forget connections to nodes that are gone");
            }
        });
    }

    async fn wait_for_news(&mut self, changed: &Notify) {
        loop {
            tokio::select! {
                () = changed.notified() => return,
                Some(verdict) = self.verdicts.recv() => {
                    let mut news = self.take(verdict);
                    while let Ok(verdict) = self.verdicts.try_recv() {
                        news |= self.take(verdict);
                    }
                    if news {
                        return;
                    }
                }
            }
        }
    }

    fn take(&mut self, verdict: Verdict) -> bool {
        let ((node, check), standing) = verdict.clone();
        let gone = matches!(standing, Standing::Silent | Standing::Dead);
        let changed = self.checks.note(verdict);
        if changed && gone && check == Check::Proxy {
            let model = self.done.as_ref().map(|(model, _)| model);
            let dead = standing == Standing::Dead;
            model
                .into_iter()
                .for_each(|model| self.forget.add(model, &node, dead));
        }
        changed
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
