//! Publishes the cluster's CA to each namespace, as pods expect it
//! (upstream: root-ca-certificate-publisher-controller).

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::service_account::lives;
use crate::write;

const NAME: &str = "kube-root-ca.crt";
const FILE: &str = "ca.crt";

/// What the ConfigMap is for, as upstream says it.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
     internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
     clusters.",
);

/// Runs the controller; without a CA there is nothing to do.
pub(crate) async fn run(context: Context) {
    let Some(ca) = context.config.root_ca.clone() else {
        return;
    };
    let queue = Queue::new(Duration::from_millis(10));
    let to = queue.clone();
    context.caches.namespaces().listen(move |_, new| {
        new.into_iter()
            .for_each(|namespace| to.add(Key::of(namespace).name));
    });
    let to = queue.clone();
    context
        .caches
        .root_ca_config_maps()
        .listen(move |old, new| {
            new.or(old)
                .into_iter()
                .for_each(|map| to.add(Key::of(map).namespace));
        });
    context.caches.namespaces().ready().await;
    context.caches.root_ca_config_maps().ready().await;
    queue
        .work("root-ca", 4, |namespace| sync(&context, &ca, namespace))
        .await;
}

async fn sync(context: &Context, ca: &str, namespace: String) -> Result<Again> {
    if !lives(context, &namespace) {
        return Ok(None);
    }
    let key = Key::new(&namespace, NAME);
    let api = context.namespaced::<ConfigMap>(&namespace);
    let published = context.caches.root_ca_config_maps().get(&key);
    let written = match published
        .as_ref()
        .map(|map| map.data.clone().unwrap_or_default())
    {
        Some(data) if data.len() == 1 && data.get(FILE).is_some_and(|had| had == ca) => {
            return Ok(None);
        }
        Some(data) => {
            let others = data.keys().filter(|name| *name != FILE);
            let mut patch = json!({"data": {FILE: ca}});
            others.for_each(|name| patch["data"][name] = serde_json::Value::Null);
            write::patch(&api, &key, &patch).await
        }
        None => write::create(&api, &map(&namespace, ca)).await,
    };
    match written {
        Err(problem) if problem.already_exists() || problem.namespace_terminates() => Ok(None),
        Err(problem) if problem.is_not_found() => Ok(None),
        written => written.map(|_| None),
    }
}

fn map(namespace: &str, ca: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            annotations: Some([(DESCRIPTION.0.to_owned(), DESCRIPTION.1.to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some([(FILE.to_owned(), ca.to_owned())].into()),
        ..ConfigMap::default()
    }
}
