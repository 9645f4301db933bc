//! EndpointSlice: some of the addresses behind a Service.

mod validation;

use jiff::Timestamp;
use serde_json::Value;

use crate::age;
use crate::field::{Path, Problems};
use crate::printer::{NAME, column};
use crate::resource::{Column, Part, Strategy};
use crate::validation::ip;
use crate::validation::json::{integer, list, present, remove, text, texts};

/// The strategy of `discovery.k8s.io/v1 EndpointSlice`.
pub struct EndpointSlice;

const COLUMNS: &[Column] = &[
    NAME,
    column("AddressType", "string"),
    column("Ports", "string"),
    column("Endpoints", "string"),
    column("Age", "string"),
];

impl Strategy for EndpointSlice {
    fn set_defaults(&self, object: &mut Value) {
        let ports = object.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if !present(port, "/name") {
                port["name"] = "".into();
            }
            if !present(port, "/protocol") {
                port["protocol"] = "TCP".into();
            }
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["metadata"]["generation"] = 1.into();
        drop_topology(object);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        validation::create(object)
    }

    fn prepare_for_update(&self, _part: Part, new: &mut Value, old: &Value) {
        let generation = integer(old, "/metadata/generation");
        let rises = i64::from(has_changed(new, old));
        new["metadata"]["generation"] = (generation + rises).into();
        if new["endpoints"] != old["endpoints"] {
            drop_topology(new);
        }
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        validation::update(new, old)
    }

    /// Storage does not tell an empty list from none.
    fn canonicalize(&self, object: &mut Value) {
        for member in ["endpoints", "ports"] {
            if list(object, &format!("/{member}")).is_empty() {
                object[member] = Value::Null;
            }
        }
    }

    fn warnings(&self, _part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        let deprecated = old.is_none() && text(new, "/addressType") == "FQDN";
        let words = "spec.addressType: FQDN endpoints are deprecated";
        let mut warnings: Vec<String> = deprecated.then(|| words.to_owned()).into_iter().collect();
        warnings.extend(address_warnings(new));
        warnings
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            text(object, "/metadata/name").into(),
            text(object, "/addressType").into(),
            first_three(&ports(object)).into(),
            first_three(&addresses(object)).into(),
            age::of(object, now),
        ]
    }
}

/// Whether anything but metadata changed, or the labels did.
fn has_changed(new: &Value, old: &Value) -> bool {
    let member = |object: &Value, name: &str| object.get(name).cloned().unwrap_or_default();
    let same = |name: &str| {
        let (now, before) = (member(new, name), member(old, name));
        // Null and an empty list mean the same.
        let none = |value: &Value| value.as_array().map_or(value.is_null(), Vec::is_empty);
        now == before || (none(&now) && none(&before))
    };
    let labels = new["metadata"].get("labels") == old["metadata"].get("labels");
    !(labels && same("addressType") && same("endpoints") && same("ports"))
}

/// `deprecatedTopology` is a field of v1beta1; writes to it through v1 are dropped.
fn drop_topology(object: &mut Value) {
    let endpoints = object.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in endpoints.into_iter().flatten() {
        remove(endpoint, "", "deprecatedTopology");
    }
}

/// The controllers' own slices are not looked at: they write canonical addresses.
fn address_warnings(object: &Value) -> Vec<String> {
    let manager = &object["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"];
    let own = [
        "endpointslice-controller.k8s.io",
        "endpointslicemirroring-controller.k8s.io",
    ];
    if manager
        .as_str()
        .is_some_and(|manager| own.contains(&manager))
    {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (i, endpoint) in list(object, "/endpoints").iter().enumerate() {
        let path = Path::new("endpoints").index(i).child("addresses");
        for (j, address) in texts(endpoint, "/addresses").into_iter().enumerate() {
            warnings.extend(ip::warnings_for_ip(&path.index(j), address));
        }
    }
    warnings
}

fn ports(object: &Value) -> Vec<String> {
    let shown = |port: &Value| match (port["port"].as_i64(), port["name"].as_str()) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => "*".to_owned(),
    };
    list(object, "/ports").iter().map(shown).collect()
}

fn addresses(object: &Value) -> Vec<String> {
    let endpoints = list(object, "/endpoints").iter();
    endpoints
        .flat_map(|endpoint| texts(endpoint, "/addresses"))
        .map(str::to_owned)
        .collect()
}

fn first_three(all: &[String]) -> String {
    let shown = all[..all.len().min(3)].join(",");
    match all.len() {
        0..=3 if shown.is_empty() => "<unset>".to_owned(),
        0..=3 => shown,
        count => format!("{shown} + {} more...", count - 3),
    }
}

#[cfg(test)]
mod tests;
