//! The row of a Node.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{NAME, column, list, or_none, text, wide};
use crate::age;
use crate::resource::Column;

/// Columns of a Node.
pub const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "string"),
    column("Roles", "string"),
    column("Age", "string"),
    column("Version", "string"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];

/// Cells of a Node.
pub fn cells(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = &node["status"]["nodeInfo"];
    let mut kernel = or_unknown(&info["kernelVersion"]);
    let architecture = text(&info["architecture"]);
    if !architecture.is_empty() {
        kernel = format!("{kernel} ({architecture})");
    }
    vec![
        node["metadata"]["name"].clone(),
        status(node).into(),
        or_none(&roles(node)),
        age::of(node, now),
        text(&info["kubeletVersion"]).into(),
        or_none(address(node, "InternalIP")),
        or_none(address(node, "ExternalIP")),
        or_unknown(&info["osImage"]).into(),
        kernel.into(),
        or_unknown(&info["containerRuntimeVersion"]).into(),
    ]
}

fn status(node: &Value) -> String {
    let ready = list(&node["status"]["conditions"])
        .iter()
        .find(|c| c["type"] == "Ready");
    let state = match ready {
        None => "Unknown",
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
    };
    let cordoned = if node["spec"]["unschedulable"] == true {
        ",SchedulingDisabled"
    } else {
        ""
    };
    format!("{state}{cordoned}")
}

fn roles(node: &Value) -> String {
    let mut roles = BTreeSet::new();
    for (key, value) in node["metadata"]["labels"].as_object().into_iter().flatten() {
        match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => drop(roles.insert(role)),
            None if key == "kubernetes.io/role" && value != "" => drop(roles.insert(text(value))),
            _ => {}
        }
    }
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let found = list(&node["status"]["addresses"])
        .iter()
        .find(|a| a["type"] == kind);
    found.map_or("", |address| text(&address["address"]))
}

fn or_unknown(value: &Value) -> String {
    let text = text(value);
    if text.is_empty() {
        "<unknown>".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_and_roles() {
        let node = json!({
            "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}],
                "nodeInfo": {"kernelVersion": "6.1", "architecture": "amd64"}},
        });
        let row = cells(&node, Timestamp::UNIX_EPOCH);
        assert_eq!(row[1], "NotReady,SchedulingDisabled");
        assert_eq!(row[2], "edge,worker");
        assert_eq!(row[8], "6.1 (amd64)");
        assert_eq!(row[5], "<none>");
    }
}
