//! Everything at once (KEP-3352).

use api::resource::Resource;
use api::resources;
use serde_json::{Value, json};

use super::words;
use crate::review;

/// The groups with all their resources.
pub(super) fn list(groups: &[&str]) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| item(group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items,
    })
}

fn item(group: &str) -> Value {
    let metadata = if group.is_empty() {
        json!({})
    } else {
        json!({ "name": group })
    };
    let mut listed: Vec<Value> = Vec::new();
    if group.is_empty() {
        listed.push(json!({
            "resource": "bindings", "responseKind": kind("Binding"), "scope": "Namespaced",
            "singularResource": "binding", "verbs": ["create"],
        }));
    }
    let ours = |resource: &&Resource| resource.group == group;
    listed.extend(resources::all().iter().filter(ours).map(resource));
    let answers = review::KINDS.iter().filter(|kind| kind.group == group);
    listed.extend(answers.map(|answer| {
        json!({
            "resource": answer.plural, "responseKind": kind(answer.kind),
            "scope": if answer.namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": answer.kind.to_ascii_lowercase(), "verbs": ["create"],
        })
    }));
    listed.sort_by(|a, b| a["resource"].as_str().cmp(&b["resource"].as_str()));
    let version = json!({"version": "v1", "resources": listed, "freshness": "Current"});
    json!({"metadata": metadata, "versions": [version]})
}

/// A group and version that are left empty are the list's own.
fn kind(name: &str) -> Value {
    json!({"group": "", "version": "", "kind": name})
}

fn resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind(resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": words(resource.verbs),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if !resource.subresources.is_empty() {
        let subresources = resource.subresources.iter().map(|sub| {
            let (group, version, name) = sub.kind.unwrap_or(("", "", resource.kind));
            json!({
                "subresource": sub.name, "verbs": words(sub.verbs),
                "responseKind": {"group": group, "version": version, "kind": name},
            })
        });
        entry["subresources"] = subresources.collect();
    }
    entry
}
