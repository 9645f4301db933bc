//! What is served: `/api`, `/apis` and below, one by one or aggregated.

mod aggregated;

use api::resource::{Resource, Verb};
use api::resources;
use api::status::Status;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::accept::{Offers, Shape, negotiate};
use crate::api_state::Api;
use crate::call::Call;
use crate::reply::Reply;
use crate::review;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(crate) fn serve(api: &Api, call: &Call, parts: &[&str]) -> Result<Reply, Status> {
    // The index of groups and each group answer whatever the method, as upstream's aggregator does.
    let any_method = matches!(parts, [] | [""] | ["apis"] | ["apis", _]);
    if !any_method && call.method != http::Method::GET {
        return Err(crate::dispatch::method_not_allowed());
    }
    let root = matches!(parts, ["api" | "apis"]);
    let offers = if root {
        Offers::Discovery
    } else {
        Offers::Nothing
    };
    let form = negotiate(call.header(ACCEPT), offers)?;
    let answer = match parts {
        ["api"] if form.shape == Shape::Discovery => return Ok(aggregate(call, &[""])),
        ["apis"] if form.shape == Shape::Discovery => return Ok(aggregate(call, &groups())),
        ["api"] => core_versions(api),
        ["api", "v1"] => Some(resource_list("", "v1")),
        ["apis"] => Some(group_list()),
        ["apis", group] => group_named(group),
        ["apis", group, version] => version_named(group, version),
        [] | [""] => Some(paths()),
        _ => None,
    };
    match answer {
        Some(answer) => Ok(Reply::either(200, form.yaml, answer.to_string().into())),
        None => Err(crate::dispatch::nothing_here()),
    }
}

/// The whole of it, unless the client has it already: its tag is the hash of what is said.
fn aggregate(call: &Call, groups: &[&str]) -> Reply {
    let body = aggregated::list(groups).to_string();
    let tag = tag(body.as_bytes());
    let known = call.header(IF_NONE_MATCH) == Some(tag.as_str());
    let reply = if known {
        Reply::full(304, "", Bytes::new())
    } else {
        Reply::full(200, AGGREGATED, body)
    };
    let tag = HeaderValue::from_str(&tag).expect("a hash is printable");
    reply
        .with(ETAG, tag)
        .with(VARY, HeaderValue::from_static("Accept"))
        .with(CACHE_CONTROL, HeaderValue::from_static("public"))
}

/// `"…"`: SHA-512 in capital digits.
fn tag(body: &[u8]) -> String {
    let digits: String = Sha512::digest(body)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("\"{digits}\"")
}

/// Groups with a name, in the order of their first kind, then those that only answer questions.
pub(crate) fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Vec::new();
    let named = resources::all().iter().map(|resource| resource.group);
    for group in named.chain(review::GROUPS) {
        if !group.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn core_versions(api: &Api) -> Option<Value> {
    let address = api.address();
    Some(json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }))
}

fn group_list() -> Value {
    let groups: Vec<Value> = groups().into_iter().map(group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn group_named(name: &str) -> Option<Value> {
    groups().contains(&name).then(|| {
        let mut group = group(name);
        group["kind"] = "APIGroup".into();
        group["apiVersion"] = "v1".into();
        group
    })
}

fn version_named(group: &str, version: &str) -> Option<Value> {
    (groups().contains(&group) && version == "v1").then(|| resource_list(group, version))
}

fn paths() -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for group in groups() {
        paths.push(format!("/apis/{group}"));
        paths.push(format!("/apis/{group}/v1"));
    }
    for path in [
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ] {
        paths.push(path.to_owned());
    }
    paths.sort();
    json!({ "paths": paths })
}

fn resource_list(group: &str, version: &str) -> Value {
    let mut listed: Vec<Value> = Vec::new();
    if group.is_empty() {
        listed.push(json!({
            "name": "bindings", "singularName": "binding", "namespaced": true, "kind": "Binding",
            "verbs": ["create"],
        }));
    }
    let ours = |resource: &&Resource| resource.group == group && resource.version == version;
    for resource in resources::all().iter().filter(ours) {
        listed.extend(entries(resource));
    }
    listed.extend(
        review::KINDS
            .iter()
            .filter(|kind| kind.group == group)
            .map(review::entry),
    );
    listed.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let of_group = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let mut list =
        json!({"kind": "APIResourceList", "groupVersion": of_group, "resources": listed});
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    list
}

fn entries(resource: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": words(resource.verbs),
        "storageVersionHash": storage_hash(resource),
    });
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let subresources = resource.subresources.iter().map(|sub| {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
            "namespaced": resource.namespaced, "verbs": words(sub.verbs),
            "kind": sub.kind.map_or(resource.kind, |(_, _, kind)| kind),
        });
        if let Some((group, version, _)) = sub.kind.filter(|(_, version, _)| !version.is_empty()) {
            entry["group"] = group.into();
            entry["version"] = version.into();
        }
        entry
    });
    [main].into_iter().chain(subresources).collect()
}

/// Verbs as discovery names them.
fn words(verbs: &[Verb]) -> Vec<&'static str> {
    verbs
        .iter()
        .map(|verb| match verb {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "update",
            Verb::Watch => "watch",
        })
        .collect()
}

/// Tells clients when objects begin to be stored in another form (`discovery.StorageVersionHash`).
fn storage_hash(resource: &Resource) -> String {
    // Events of both groups are stored as the core group's.
    let group = if resource.group == "events.k8s.io" {
        ""
    } else {
        resource.group
    };
    let text = format!("{group}/{}/{}", resource.version, resource.kind);
    STANDARD.encode(&Sha256::digest(text)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storage_hash_is_the_recorded_one() {
        let cases = [
            ("", "configmaps", "qFsyl6wFWjQ="),
            ("apps", "deployments", "8aSe+NMegvE="),
        ];
        for (group, plural, want) in cases {
            let resource = resources::find(group, plural).unwrap();
            assert_eq!(storage_hash(resource), want, "{plural}");
        }
    }

    #[test]
    fn a_tag_is_the_hash_in_quotes() {
        let tag = tag(b"");
        assert!(
            tag.starts_with("\"CF83E1357EEFB8BDF1542850D66D8007"),
            "{tag}"
        );
        assert_eq!(tag.len(), 130);
    }
}
