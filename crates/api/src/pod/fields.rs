//! The fields by which pods can be selected (`registry/core/pod`, `ToSelectableFields`).

use serde_json::Value;

use crate::validation::json::{boolean, text};

pub(super) const SELECTABLE: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

pub(super) fn value(pod: &Value, field: &str) -> String {
    match field {
        "spec.hostNetwork" => (boolean(pod, "/spec/hostNetwork") == Some(true)).to_string(),
        "status.podIP" => text(pod, "/status/podIPs/0/ip").to_owned(),
        // Known to the parser of selectors, but no pod has a value there.
        "status.podIPs" => String::new(),
        _ => text(pod, &format!("/{}", field.replace('.', "/"))).to_owned(),
    }
}
