//! Rows of kinds that show a field or two.

use jiff::Timestamp;
use serde_json::Value;

use super::{NAME, column, number, text, wide};
use crate::age;
use crate::resource::Column;

/// Columns of a Namespace.
pub const NAMESPACE: &[Column] = &[NAME, column("Status", "string"), column("Age", "string")];

/// Cells of a Namespace.
pub fn namespace_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        text(&object["status"]["phase"]).into(),
        age::of(object, now),
    ]
}

/// Columns of a ConfigMap.
pub const CONFIG_MAP: &[Column] = &[NAME, column("Data", "string"), column("Age", "string")];

/// Cells of a ConfigMap.
pub fn config_map_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let entries = size(&object["data"]) + size(&object["binaryData"]);
    vec![name(object), entries.into(), age::of(object, now)]
}

/// Columns of a Secret.
pub const SECRET: &[Column] = &[
    NAME,
    column("Type", "string"),
    column("Data", "string"),
    column("Age", "string"),
];

/// Cells of a Secret.
pub fn secret_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        text(&object["type"]).into(),
        size(&object["data"]).into(),
        age::of(object, now),
    ]
}

/// Columns of a ServiceAccount.
pub const SERVICE_ACCOUNT: &[Column] = &[NAME, column("Age", "string")];

/// Cells of a ServiceAccount.
pub fn service_account_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), age::of(object, now)]
}

/// Columns of a Lease.
pub const LEASE: &[Column] = &[NAME, column("Holder", "string"), column("Age", "string")];

/// Cells of a Lease.
pub fn lease_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        text(&object["spec"]["holderIdentity"]).into(),
        age::of(object, now),
    ]
}

/// Columns of an Event.
pub const EVENT: &[Column] = &[
    column("Last Seen", "string"),
    column("Type", "string"),
    column("Reason", "string"),
    column("Object", "string"),
    wide("Subobject"),
    wide("Source"),
    column("Message", "string"),
    wide("First Seen"),
    wide("Count"),
    Column {
        format: "name",
        ..wide("Name")
    },
];

/// Cells of a core/v1 Event.
pub fn event_cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let or = |value: &Value, other: String| {
        if value.is_null() {
            other
        } else {
            age::since(value, now)
        }
    };
    let first = or(
        &event["firstTimestamp"],
        age::since(&event["eventTime"], now),
    );
    let series = &event["series"];
    let last = or(&event["lastTimestamp"], first.clone());
    let last = or(&series["lastObservedTime"], last);
    let count = if series.is_null() {
        number(&event["count"]).max(1)
    } else {
        number(&series["count"])
    };
    vec![
        last.into(),
        text(&event["type"]).into(),
        text(&event["reason"]).into(),
        regarded(&event["involvedObject"]).into(),
        text(&event["involvedObject"]["fieldPath"]).into(),
        source(event).into(),
        text(&event["message"]).trim().into(),
        first.into(),
        count.into(),
        name(event),
    ]
}

fn regarded(object: &Value) -> String {
    let (kind, name) = (text(&object["kind"]).to_lowercase(), text(&object["name"]));
    if name.is_empty() {
        kind
    } else {
        format!("{kind}/{name}")
    }
}

fn source(event: &Value) -> String {
    let first = |a: &str, b: &str| {
        if a.is_empty() {
            b.to_owned()
        } else {
            a.to_owned()
        }
    };
    let source = &event["source"];
    let component = first(
        text(&source["component"]),
        text(&event["reportingComponent"]),
    );
    let instance = first(text(&source["host"]), text(&event["reportingInstance"]));
    if instance.is_empty() {
        component
    } else {
        format!("{component}, {instance}")
    }
}

fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}
