//! Events about pods and the node: queued, counted when they repeat, and never waited for.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;

/// Events that wait for the API server; more are dropped, as kubelet's recorder does.
const QUEUE: usize = 1000;

/// Different events that are remembered for counting.
const REMEMBERED: usize = 4096;

/// Hands events to the task that writes them.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    sender: mpsc::Sender<Entry>,
}

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Normal,
    Warning,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    uid: String,
    field: Option<String>,
    reason: &'static str,
    message: String,
}

struct Entry {
    key: Key,
    about: ObjectReference,
    at: Timestamp,
}

impl Events {
    /// Starts the task that writes events.
    pub(crate) fn start(client: kube::Client, node: String) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(client, node, receiver));
        Self { sender }
    }

    /// Notes something that happened to a pod, or to one of its containers.
    pub(crate) fn note(
        &self,
        pod: &Pod,
        container: Option<&str>,
        (kind, reason): (Kind, &'static str),
        message: impl Into<String>,
    ) {
        let about = reference(pod, container);
        let key = Key {
            kind,
            uid: about.uid.clone().unwrap_or_default(),
            field: about.field_path.clone(),
            reason,
            message: message.into(),
        };
        let at = Timestamp::now();
        // A full queue means that the API server is away; the pod's status tells the same.
        let _ = self.sender.try_send(Entry { key, about, at });
    }
}

fn reference(pod: &Pod, container: Option<&str>) -> ObjectReference {
    let meta = &pod.metadata;
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: container.map(|name| field_path(pod, name)),
    }
}

fn field_path(pod: &Pod, container: &str) -> String {
    let is_main = crate::pod::containers::main(pod).any(|main| main.name == container);
    let list = if is_main {
        "containers"
    } else {
        "initContainers"
    };
    format!("spec.{list}{{{container}}}")
}

async fn write_all(client: kube::Client, node: String, mut queue: mpsc::Receiver<Entry>) {
    let mut known: HashMap<Key, Event> = HashMap::new();
    while let Some(entry) = queue.recv().await {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let namespace = entry.about.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let written = match known.remove(&entry.key) {
            Some(event) => repeat(&api, event, entry.at).await,
            None => {
                api.create(&PostParams::default(), &new(&entry, &node))
                    .await
            }
        };
        match written {
            Ok(event) => drop(known.insert(entry.key, event)),
            Err(error) => tracing::debug!(%error, "an event was not written"),
        }
    }
}

async fn repeat(api: &Api<Event>, mut event: Event, at: Timestamp) -> kube::Result<Event> {
    event.count = Some(event.count.unwrap_or(1) + 1);
    event.last_timestamp = Some(Time(at));
    // Somebody else's change in between does not matter; the count is ours.
    event.metadata.resource_version = None;
    let name = event.metadata.name.clone().unwrap_or_default();
    api.replace(&name, &PostParams::default(), &event).await
}

fn new(entry: &Entry, node: &str) -> Event {
    let name = entry.about.name.as_deref().unwrap_or_default();
    let suffix = entry.at.as_nanosecond();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{suffix:x}")),
            namespace: entry.about.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: entry.about.clone(),
        reason: Some(entry.key.reason.to_owned()),
        message: Some(entry.key.message.clone()),
        type_: Some(match entry.key.kind {
            Kind::Normal => "Normal".to_owned(),
            Kind::Warning => "Warning".to_owned(),
        }),
        count: Some(1),
        first_timestamp: Some(Time(entry.at)),
        last_timestamp: Some(Time(entry.at)),
        source: Some(EventSource {
            component: Some("kubelet".to_owned()),
            host: Some(node.to_owned()),
        }),
        reporting_component: Some("kubelet".to_owned()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    }
}
