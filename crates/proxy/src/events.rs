//! What the proxy tells the API's readers, in kube-proxy's words: that it started, and which health-check
//! node port it cannot serve.

use crate::health::Refused;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// The component that events name.
const REPORTER: &str = "kube-proxy";

/// Writes events, each in a task of its own: an API that does not answer holds up nothing.
pub(crate) struct Events {
    recorder: Recorder,
    node_name: String,
}

impl Events {
    pub(crate) fn new(client: Client, node_name: &str) -> Self {
        let reporter = Reporter {
            controller: REPORTER.to_owned(),
            instance: Some(format!("{REPORTER}-{node_name}")),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            node_name: node_name.to_owned(),
        }
    }

    /// The proxy has started.
    pub(crate) fn started(&self) {
        let event = event(EventType::Normal, "Starting", "StartKubeProxy", None);
        self.publish(event, reference("Node", None, &self.node_name));
    }

    /// A health-check node port cannot be served.
    pub(crate) fn refused(&self, refused: &Refused) {
        let Refused {
            service,
            socket,
            reason,
        } = refused;
        let note = format!(
            "node {} failed to start healthcheck \"{}/{}\" on port {}: listen {socket}: {reason}",
            self.node_name,
            service.namespace,
            service.name,
            socket.port(),
        );
        let reason = "FailedToStartServiceHealthcheck";
        let event = event(EventType::Warning, reason, "Listen", Some(note));
        let about = reference("Service", Some(&service.namespace), &service.name);
        self.publish(event, about);
    }

    fn publish(&self, event: Event, about: ObjectReference) {
        let recorder = self.recorder.clone();
        tokio::spawn(async move {
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::info!(%error, reason = event.reason, "an event could not be written");
            }
        });
    }
}

fn event(type_: EventType, reason: &str, action: &str, note: Option<String>) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note,
        action: action.to_owned(),
        secondary: None,
    }
}

fn reference(kind: &str, namespace: Option<&str>, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}
