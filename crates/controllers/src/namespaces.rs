//! Empties a namespace that is being deleted, and lets it go (upstream: `pkg/controller/namespace`).

mod conditions;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::DynamicObject;

use crate::context::Context;
use crate::discovery::{Kind, kinds};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::namespaces::conditions::{Content, conditions};
use crate::queue::{Again, Queue};
use crate::write;

/// The finalizer that stands for this controller.
const FINALIZER: &str = "kubernetes";

/// How soon a namespace is looked at again in which something is left: pods take their time to end.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(200));
    let to = queue.clone();
    context.caches.namespaces().listen(move |_, new| {
        if let Some(namespace) = new.filter(|namespace| waits(namespace)) {
            to.add(Key::of(namespace));
        }
    });
    queue.work("namespace", 4, |key| sync(&context, key)).await;
}

/// Whether a namespace is deleted and waits for this controller.
fn waits(namespace: &Namespace) -> bool {
    let finalizers = namespace
        .spec
        .iter()
        .flat_map(|spec| spec.finalizers.iter().flatten());
    namespace.metadata.deletion_timestamp.is_some()
        && finalizers.into_iter().any(|name| name == FINALIZER)
}

async fn sync(context: &Context, key: Key) -> Result<Again> {
    let Some(namespace) = context
        .caches
        .namespaces()
        .get(&key)
        .filter(|namespace| waits(namespace))
    else {
        return Ok(None);
    };
    let content = empty(context, &key.name).await?;
    let done = content.is_empty();
    let written = write_conditions(context, &namespace, &content).await?;
    if !done {
        return Ok(Some(LOOK_AGAIN));
    }
    finalize(context, written).await.map(|()| None)
}

/// Deletes all there is in a namespace, pods before all else, and says what is left (KEP-5080).
async fn empty(context: &Context, namespace: &str) -> Result<Content> {
    let mut deletable = kinds(&context.client).await?;
    deletable.retain(|kind| kind.namespaced && kind.can(&["delete", "list"]));
    let is_pods = |kind: &Kind| kind.resource.group.is_empty() && kind.resource.kind == "Pod";
    let (pods, others): (Vec<_>, Vec<_>) = deletable.into_iter().partition(is_pods);
    let mut content = Content::default();
    for kind in &pods {
        content.add(kind, empty_of(context, namespace, kind).await);
    }
    if !content.is_empty() {
        return Ok(content);
    }
    let left = join_all(others.iter().map(|kind| empty_of(context, namespace, kind))).await;
    others
        .iter()
        .zip(left)
        .for_each(|(kind, left)| content.add(kind, left));
    Ok(content)
}

/// Deletes all objects of a kind and returns those that are left.
async fn empty_of(context: &Context, namespace: &str, kind: &Kind) -> Result<Vec<DynamicObject>> {
    let api =
        Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &kind.resource);
    let failure = |verb| {
        move |source| Error::Api {
            verb,
            what: format!("{} in namespace {namespace}", kind.resource.plural),
            source,
        }
    };
    let list = || async {
        let listed = api
            .list(&ListParams::default())
            .await
            .map_err(failure("list"));
        listed.map(|list| list.items)
    };
    let found = list().await?;
    if found.is_empty() {
        return Ok(found);
    }
    if kind.can(&["deletecollection"]) {
        let deleted = api
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await;
        deleted.map_err(failure("delete"))?;
    } else {
        for object in &found {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            match api.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted.map_err(failure("delete"))?),
            }
        }
    }
    list().await
}

async fn write_conditions(
    context: &Context,
    namespace: &Namespace,
    content: &Content,
) -> Result<Namespace> {
    let mut changed = namespace.clone();
    let status = changed.status.get_or_insert_with(NamespaceStatus::default);
    status.phase = Some("Terminating".to_owned());
    status.conditions = Some(conditions(
        status.conditions.take().unwrap_or_default(),
        content,
    ));
    if changed.status == namespace.status {
        return Ok(changed);
    }
    let written = write::replace_status(&context.cluster::<Namespace>(), &changed).await?;
    context.caches.namespaces().catch_up(&written).await;
    Ok(written)
}

async fn finalize(context: &Context, mut namespace: Namespace) -> Result<()> {
    let finalizers = namespace
        .spec
        .get_or_insert_default()
        .finalizers
        .get_or_insert_default();
    finalizers.retain(|name| name != FINALIZER);
    let key = Key::of(&namespace);
    let api = context.cluster::<Namespace>();
    let done = api
        .replace_subresource("finalize", &key.name, &PostParams::default(), &namespace)
        .await;
    match done {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(Error::Api {
            verb: "finalize",
            what: format!("Namespace {key}"),
            source,
        }),
    }
}

/// How often each finalizer holds something.
type Holders = BTreeMap<String, usize>;
