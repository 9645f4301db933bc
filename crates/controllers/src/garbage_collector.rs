//! Deletes what loses its owners, and sees to foreground deletion and orphaning
//! (upstream: `pkg/controller/garbagecollector`).

mod graph;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::discovery::{self, Kind};
use crate::error::{Error, Result};
use crate::garbage_collector::graph::{Graph, Node};
use crate::garbage_collector::plan::{FOREGROUND, ORPHAN, Owner, Step, plan};
use crate::meta::Meta;
use crate::queue::{Again, Queue};

const WORKERS: usize = 16;

/// How often the server is asked for new kinds.
const REDISCOVER: Duration = Duration::from_secs(30);

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let collector = Arc::new(Collector {
        client: context.client,
        graph: Mutex::default(),
        queue: Queue::new(Duration::from_millis(20)),
        kinds: Mutex::default(),
    });
    let mut watches = JoinSet::new();
    collector.watch_new_kinds(&mut watches).await;
    let queue = collector.queue.clone();
    let work = queue.work("garbage-collector", WORKERS, |uid| collector.sync(uid));
    let rediscover = async {
        loop {
            tokio::time::sleep(REDISCOVER).await;
            collector.watch_new_kinds(&mut watches).await;
        }
    };
    tokio::join!(work, rediscover);
}

struct Collector {
    client: Client,
    graph: Mutex<Graph>,
    queue: Queue<String>,
    kinds: Mutex<Vec<Kind>>,
}

impl Collector {
    /// Follows every kind that is not followed yet, and returns when their first lists are in: a foreground deletion
    /// is over when no dependent is left, so all of them must be known.
    async fn watch_new_kinds(self: &Arc<Self>, watches: &mut JoinSet<()>) {
        let found = loop {
            match discovery::kinds(&self.client).await {
                Ok(found) => break found,
                Err(problem) => tracing::warn!(%problem, "garbage collection waits"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let known: BTreeSet<_> = self
            .kinds()
            .iter()
            .map(|kind| group_kind(&kind.resource))
            .collect();
        let mut listed = Vec::new();
        for kind in found.into_iter().filter(is_collectable) {
            if known.contains(&group_kind(&kind.resource)) {
                continue;
            }
            let (sender, receiver) = watch::channel(false);
            listed.push(receiver);
            self.kinds().push(kind.clone());
            let collector = Arc::clone(self);
            watches.spawn(async move { collector.follow(kind, sender).await });
        }
        for mut receiver in listed {
            let first = receiver.wait_for(|listed| *listed);
            // A kind whose server is away must not stop the others for ever.
            let _ = tokio::time::timeout(REDISCOVER, first).await;
        }
    }

    async fn follow(&self, kind: Kind, listed: watch::Sender<bool>) {
        let api = Api::<Meta>::all_with(self.client.clone(), &kind.resource);
        let stream = kube::runtime::watcher(api, watcher::Config::default()).default_backoff();
        let mut stream = std::pin::pin!(stream);
        let mut seen = BTreeSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => seen.clear(),
                Ok(Event::InitApply(object)) => {
                    seen.insert(object.metadata.uid.clone().unwrap_or_default());
                    self.put(&kind, object);
                }
                Ok(Event::InitDone) => {
                    let gone = self.graph().of_kind(&kind.resource);
                    gone.iter()
                        .filter(|uid| !seen.contains(*uid))
                        .for_each(|uid| self.remove(uid));
                    listed.send_replace(true);
                }
                Ok(Event::Apply(object)) => self.put(&kind, object),
                Ok(Event::Delete(object)) => self.remove(&object.metadata.uid.unwrap_or_default()),
                Err(problem) => tracing::debug!(%problem, kind = kind.resource.kind, "watch broke"),
            }
        }
    }

    fn put(&self, kind: &Kind, object: Meta) {
        let uids = self.graph().put(Node::new(kind, object.metadata));
        uids.into_iter().for_each(|uid| self.queue.add(uid));
    }

    fn remove(&self, uid: &str) {
        let uids = self.graph().remove(uid);
        uids.into_iter().for_each(|uid| self.queue.add(uid));
    }

    async fn sync(&self, uid: String) -> Result<Again> {
        let Some(node) = self.graph().get(&uid) else {
            return Ok(None);
        };
        let mut owners = Vec::new();
        if !node.deleting {
            for reference in &node.owners {
                owners.push((reference.clone(), self.owner(&node, reference).await?));
            }
        }
        let dependents = self.graph().dependents(&uid);
        match plan(&node, &owners, &dependents) {
            Step::Nothing => {}
            Step::Look(uids) => uids.into_iter().for_each(|uid| self.queue.add(uid)),
            Step::Delete(policy) => self.delete(&node, policy).await?,
            Step::Disown(uids) => self.disown(&node, &uids).await?,
            Step::Unfinalize(finalizer) => self.unfinalize(&node, finalizer).await?,
            Step::Orphan => self.orphan(&node, &dependents).await?,
        }
        Ok(None)
    }

    /// How an owner stands. One that the graph does not have is asked for: a watch may be behind.
    async fn owner(&self, node: &Node, reference: &OwnerReference) -> Result<Owner> {
        {
            let graph = self.graph();
            if let Some(owner) = graph.get(&reference.uid) {
                return Ok(Owner::of(&owner));
            }
            if graph.is_gone(&reference.uid) {
                return Ok(Owner::Gone);
            }
        }
        let kinds = self.kinds().clone();
        let named = |kind: &&Kind| {
            let group = reference
                .api_version
                .rsplit_once('/')
                .map_or("", |(group, _)| group);
            kind.resource.kind == reference.kind && kind.resource.group == group
        };
        let Some(kind) = kinds.iter().find(named) else {
            // Not for us to judge: the kind's server may be away.
            return Ok(Owner::Stays);
        };
        let api = self.api(
            &kind.resource,
            kind.namespaced.then_some(node.key.namespace.as_str()),
        );
        match api.get_opt(&reference.name).await {
            Ok(Some(found)) if found.metadata.uid.as_ref() == Some(&reference.uid) => {
                Ok(Owner::of(&Node::new(kind, found.metadata)))
            }
            Ok(_) => {
                self.graph().note_gone(&reference.uid);
                Ok(Owner::Gone)
            }
            Err(source) => Err(failure("look for the owner of", node, source)),
        }
    }

    /// Deletes an object after a last look at it: it may have found other owners.
    async fn delete(&self, node: &Node, policy: PropagationPolicy) -> Result<()> {
        let api = self.api_of(node);
        match api.get_opt(&node.key.name).await {
            Ok(Some(now)) if now.metadata.uid.as_ref() == Some(&node.uid) => {
                if now.metadata.owner_references.unwrap_or_default() != node.owners {
                    return Err(Error::Retry(format!(
                        "{} {} has other owners by now",
                        node.resource.kind, node.key
                    )));
                }
            }
            Ok(_) => {
                self.remove(&node.uid);
                return Ok(());
            }
            Err(source) => return Err(failure("look at", node, source)),
        }
        let parameters = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions {
                uid: Some(node.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let deleted = api.delete(&node.key.name, &parameters).await;
        settle(
            deleted
                .map(|_| ())
                .map_err(|source| failure("delete", node, source)),
        )
    }

    async fn disown(&self, node: &Node, owners: &[String]) -> Result<()> {
        let mut left = node.owners.clone();
        left.retain(|owner| !owners.contains(&owner.uid));
        self.patch(node, &json!({"ownerReferences": none_if_empty(&left)}))
            .await
    }

    async fn unfinalize(&self, node: &Node, finalizer: &str) -> Result<()> {
        let mut left = node.finalizers.clone();
        left.retain(|name| name != finalizer);
        self.patch(node, &json!({"finalizers": none_if_empty(&left)}))
            .await
    }

    /// Takes the owner off all dependents, and then the finalizer off the owner.
    async fn orphan(&self, node: &Node, dependents: &[Node]) -> Result<()> {
        for dependent in dependents {
            self.disown(dependent, std::slice::from_ref(&node.uid))
                .await?;
        }
        self.unfinalize(node, ORPHAN).await
    }

    /// Changes metadata of the very object that was looked at; a conflict comes back with the next event.
    async fn patch(&self, node: &Node, metadata: &serde_json::Value) -> Result<()> {
        let mut metadata = metadata.clone();
        metadata["uid"] = json!(node.uid);
        metadata["resourceVersion"] = json!(node.revision);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let patched = self
            .api_of(node)
            .patch(&node.key.name, &PatchParams::default(), &patch)
            .await;
        settle(
            patched
                .map(|_| ())
                .map_err(|source| failure("patch", node, source)),
        )
    }

    fn api_of(&self, node: &Node) -> Api<DynamicObject> {
        let namespace = Some(node.key.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        self.api(&node.resource, namespace)
    }

    fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events are many, expire by themselves and own nothing.
fn is_collectable(kind: &Kind) -> bool {
    kind.can(&["list", "watch", "delete"]) && kind.resource.kind != "Event"
}

fn group_kind(resource: &ApiResource) -> (String, String) {
    (resource.group.clone(), resource.kind.clone())
}

fn none_if_empty<T: serde::Serialize>(list: &[T]) -> serde_json::Value {
    if list.is_empty() {
        serde_json::Value::Null
    } else {
        json!(list)
    }
}

/// What is gone needs nothing more.
fn settle(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(problem) if problem.is_not_found() => Ok(()),
        outcome => outcome,
    }
}

fn failure(verb: &'static str, node: &Node, source: kube::Error) -> Error {
    Error::Api {
        verb,
        what: format!("{} {}", node.resource.kind, node.key),
        source,
    }
}

/// Whether an object waits for its dependents to go.
fn waits(node: &Node) -> bool {
    node.deleting && node.finalizers.iter().any(|name| name == FOREGROUND)
}
