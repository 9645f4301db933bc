//! Counts what is used of each ResourceQuota (upstream: `pkg/controller/resourcequota`).
//!
//! The API server adds what new objects use in the transaction that makes them. This controller counts anew when
//! objects go, end or change, and when a quota is new. It reads the quota first and the objects after it, both
//! from the server: whatever is made meanwhile changes the quota too, and the write of the count is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::quota;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, Service};
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::context::Context;
use crate::discovery::{self, Kind};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::meta::Meta;
use crate::pods::is_terminal;
use crate::queue::{Again, Queue};
use crate::write;

const WORKERS: usize = 5;

/// Every quota is counted anew so often, whatever was seen or missed.
const RECOUNT: Duration = Duration::from_secs(300);

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let controller = Arc::new(Controller {
        queue: Queue::new(Duration::from_millis(50)),
        context,
        followed: Mutex::default(),
        watches: Mutex::default(),
    });
    controller.listen();
    controller.context.caches.resource_quotas().ready().await;
    let queue = controller.queue.clone();
    let sync = |key| Controller::sync(&controller, key);
    queue.work("resourcequota", WORKERS, sync).await;
}

struct Controller {
    context: Context,
    queue: Queue<Key>,
    /// Kinds that are followed for their deletions, by group and plural name.
    followed: Mutex<BTreeSet<(String, String)>>,
    watches: Mutex<JoinSet<()>>,
}

impl Controller {
    fn listen(self: &Arc<Self>) {
        let queue = self.queue.clone();
        let caches = &self.context.caches;
        caches.resource_quotas().listen(move |old, new| {
            let limits = |quota: &ResourceQuota| quota.spec.clone();
            if let Some(quota) = new.filter(|new| old.map(limits) != Some(limits(new))) {
                queue.add(Key::of(quota));
            }
        });
        let this = Arc::downgrade(self);
        caches.pods().listen(move |old, new| {
            if let (Some(controller), Some(pod)) = (this.upgrade(), old)
                && new.is_none_or(|new| frees(pod, new))
            {
                controller.freed(("", "pods"), pod.metadata.namespace.as_deref());
            }
        });
        let this = Arc::downgrade(self);
        caches.services().listen(move |old, new| {
            let ports = |service: &Service| {
                let spec = service.spec.as_ref()?;
                Some((spec.type_.clone(), spec.ports.as_ref().map(Vec::len)))
            };
            if let (Some(controller), Some(service)) = (this.upgrade(), old)
                && new.map(ports) != Some(ports(service))
            {
                controller.freed(("", "services"), service.metadata.namespace.as_deref());
            }
        });
    }

    /// Queues the quotas of a namespace that are about a kind of which something went.
    fn freed(&self, kind: quota::Kind<'_>, namespace: Option<&str>) {
        let quotas = self.context.caches.resource_quotas();
        for quota in quotas.in_namespace(namespace.unwrap_or_default()) {
            if limits(&quota).any(|name| quota::tracks(kind, name)) {
                self.queue.add(Key::of(&*quota));
            }
        }
    }

    async fn sync(self: &Arc<Self>, key: Key) -> Result<Again> {
        let api = self.context.namespaced::<ResourceQuota>(&key.namespace);
        let found = api.get_opt(&key.name).await;
        let Some(quota) = found.map_err(|source| failure("read", &key, source))? else {
            return Ok(None);
        };
        let kinds = discovery::kinds(&self.context.client).await?;
        let mut counted = Vec::new();
        for kind in kinds.into_iter().filter(|kind| is_tracked(&quota, kind)) {
            self.follow(&kind);
            let objects = self.objects(&key, &kind).await?;
            counted.push((kind, objects));
        }
        let by_kind: Vec<_> = counted
            .iter()
            .map(|(kind, objects)| (name(kind), objects.as_slice()))
            .collect();
        let status = quota::status(&json!(quota), &by_kind, Timestamp::now());
        if json!(quota.status) == status {
            return Ok(Some(RECOUNT));
        }
        let mut changed = quota;
        changed.status = serde_json::from_value(status).ok();
        match write::replace_status(&api, &changed).await {
            Ok(_) => Ok(Some(RECOUNT)),
            Err(problem) if problem.is_not_found() => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn objects(&self, key: &Key, kind: &Kind) -> Result<Vec<Value>> {
        let client = self.context.client.clone();
        let api = Api::<DynamicObject>::namespaced_with(client, &key.namespace, &kind.resource);
        let listed = api.list(&ListParams::default()).await;
        let listed = listed.map_err(|source| failure("count the objects of", key, source))?;
        Ok(listed.items.iter().map(|object| json!(object)).collect())
    }

    /// From now on deletions of this kind are heard of. Pods and Services are followed anyway.
    fn follow(self: &Arc<Self>, kind: &Kind) {
        let (group, plural) = name(kind);
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let new = followed.insert((group.to_owned(), plural.to_owned()));
        if !new || matches!((group, plural), ("", "pods" | "services")) {
            return;
        }
        let (this, kind) = (Arc::downgrade(self), kind.clone());
        let client = self.context.client.clone();
        let watch = async move {
            let api = Api::<Meta>::all_with(client, &kind.resource);
            let stream = kube::runtime::watcher(api, watcher::Config::default()).default_backoff();
            let mut stream = std::pin::pin!(stream);
            while let Some(event) = stream.next().await {
                let (Ok(Event::Delete(object)), Some(controller)) = (event, this.upgrade()) else {
                    continue;
                };
                controller.freed(name(&kind), object.metadata.namespace.as_deref());
            }
        };
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.spawn(watch);
    }
}

/// Whether a pod's change gives something back.
fn frees(old: &Pod, new: &Pod) -> bool {
    is_terminal(old) != is_terminal(new)
}

fn name(kind: &Kind) -> quota::Kind<'_> {
    (&kind.resource.group, &kind.resource.plural)
}

fn is_tracked(quota: &ResourceQuota, kind: &Kind) -> bool {
    let countable = kind.namespaced && kind.can(&["list", "watch", "create"]);
    countable && limits(quota).any(|limit| quota::tracks(name(kind), limit))
}

fn limits(quota: &ResourceQuota) -> impl Iterator<Item = &str> {
    let hard: Option<&BTreeMap<_, _>> = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    hard.into_iter().flatten().map(|(name, _)| name.as_str())
}

fn failure(verb: &'static str, key: &Key, source: kube::Error) -> Error {
    Error::Api {
        verb,
        what: format!("ResourceQuota {key}"),
        source,
    }
}
