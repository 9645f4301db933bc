//! Events about what was found wrong.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Compare, Operation, Revision, StoreError, Transaction};
use uuid::Uuid;

use super::super::kind;
use super::plan::Report;
use crate::api_state::{Api, time_text};
use crate::codec;
use crate::keys;

/// Writes the event, once until it expires: its name is made of what it says.
pub(super) async fn tell(api: &Api, report: &Report) -> Result<(), StoreError> {
    tracing::warn!(reason = report.reason, "{}", report.message);
    let event = event(report, Timestamp::now());
    let text = |member: &str| event["metadata"][member].as_str().unwrap_or_default();
    let key = keys::object(kind("", "events"), text("namespace"), text("name"));
    let transaction = Transaction {
        compares: vec![Compare {
            key: key.clone(),
            mod_revision: Revision::default(),
        }],
        operations: vec![Operation::Put {
            key,
            value: codec::encode(&event),
        }],
    };
    api.registry.store().transact(transaction).await?;
    Ok(())
}

fn event(report: &Report, now: Timestamp) -> Value {
    let about = |member: &str| {
        report.about["metadata"][member]
            .as_str()
            .unwrap_or_default()
    };
    let namespace = match about("namespace") {
        "" => "default",
        namespace => namespace,
    };
    let time = time_text(now);
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{}.{}", about("name"), digest(report)),
            "namespace": namespace,
            "uid": Uuid::new_v4().to_string(),
            "creationTimestamp": time,
        },
        "involvedObject": reference(&report.about),
        "reason": report.reason,
        "message": report.message,
        "source": {"component": report.reporter},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
        "type": "Warning",
        "eventTime": null,
        "action": report.action,
        "reportingComponent": report.reporter,
        "reportingInstance": "",
    })
}

fn reference(object: &Value) -> Value {
    let mut reference = json!({
        "kind": object["kind"],
        "apiVersion": object["apiVersion"],
        "resourceVersion": object["metadata"]["resourceVersion"],
    });
    for member in ["namespace", "name", "uid"] {
        if let Some(value) = object["metadata"].get(member) {
            reference[member] = value.clone();
        }
    }
    reference
}

/// Sixteen hexadecimal digits, as event names have them.
fn digest(report: &Report) -> String {
    let mut hash = Sha256::new();
    for part in [report.reason, &report.message] {
        hash.update(part);
    }
    hash.update(report.about["metadata"]["uid"].to_string());
    let digits = hash.finalize();
    digits
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_object_and_is_the_same_for_the_same_finding() {
        let report = Report {
            about: json!({"kind": "IPAddress", "apiVersion": "networking.k8s.io/v1",
                "metadata": {"name": "10.96.0.7", "uid": "u", "resourceVersion": "5"}}),
            reporter: "ipallocator-repair-controller",
            action: "IPAddressAllocation",
            reason: "IPAddressNotAllocated",
            message: "m".to_owned(),
        };
        let first = event(&report, Timestamp::UNIX_EPOCH);
        assert_eq!(first["metadata"]["namespace"], "default");
        assert_eq!(first["involvedObject"]["name"], "10.96.0.7");
        assert_eq!(first["firstTimestamp"], "1970-01-01T00:00:00Z");
        let again = event(&report, Timestamp::now());
        assert_eq!(first["metadata"]["name"], again["metadata"]["name"]);
    }
}
