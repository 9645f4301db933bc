//! Sees to it that each namespace has the ServiceAccount `default` (upstream: serviceaccount-controller).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::write;

const NAME: &str = "default";

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(10));
    let to = queue.clone();
    context.caches.namespaces().listen(move |_, new| {
        new.into_iter()
            .for_each(|namespace| to.add(Key::of(namespace).name));
    });
    let to = queue.clone();
    context.caches.service_accounts().listen(move |old, new| {
        if let (Some(gone), None) = (old, new) {
            to.add(Key::of(gone).namespace);
        }
    });
    context.caches.namespaces().ready().await;
    context.caches.service_accounts().ready().await;
    queue
        .work("serviceaccount", 4, |namespace| sync(&context, namespace))
        .await;
}

async fn sync(context: &Context, namespace: String) -> Result<Again> {
    let key = Key::new(&namespace, NAME);
    if !lives(context, &namespace) || context.caches.service_accounts().get(&key).is_some() {
        return Ok(None);
    }
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    match write::create(&context.namespaced(&namespace), &account).await {
        Err(problem) if problem.already_exists() || problem.namespace_terminates() => Ok(None),
        Err(problem) if problem.is_not_found() => Ok(None),
        made => made.map(|_| None),
    }
}

/// Whether a namespace is there to stay, so that something may be put into it.
pub(crate) fn lives(context: &Context, namespace: &str) -> bool {
    let namespace = context.caches.namespaces().get(&Key::new("", namespace));
    let goes = |namespace: &Namespace| namespace.metadata.deletion_timestamp.is_some();
    namespace.is_some_and(|namespace| !goes(&namespace))
}
