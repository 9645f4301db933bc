//! Rules of `metadata` that all kinds share (`apimachinery/pkg/api/validation/objectmeta.go`).

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::field::{Path, Problem, Problems, shown};
use crate::names;
use crate::resource::{NameRule, Resource};

/// Bytes of all annotations' keys and values together.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// The garbage collector's two finalizers, which exclude each other.
const GC_FINALIZERS: [&str; 2] = ["orphan", "foregroundDeletion"];

/// Problems of a new object's metadata.
pub fn validate_create(resource: &Resource, object: &Value) -> Problems {
    let (path, metadata) = (Path::new("metadata"), &object["metadata"]);
    let mut problems = Problems::new();
    if let Some(prefix) = text(metadata, "generateName").filter(|prefix| !prefix.is_empty()) {
        let field = path.child("generateName");
        let texts = name_problems(resource.strategy.rules().name, &masked_dash(prefix));
        problems.extend(
            texts
                .iter()
                .map(|t| Problem::invalid(field.clone(), prefix, t)),
        );
    }
    problems.extend(name(resource, metadata, &path));
    problems.extend(namespace(resource, metadata, &path));
    if metadata["generation"].as_i64().is_some_and(|n| n < 0) {
        let field = path.child("generation");
        let value = metadata["generation"].clone();
        problems.push(Problem::invalid(
            field,
            value,
            "must be greater than or equal to 0",
        ));
    }
    problems.extend(validate_labels(&metadata["labels"], &path.child("labels")));
    problems.extend(annotations(
        &metadata["annotations"],
        &path.child("annotations"),
    ));
    problems.extend(owners(
        &metadata["ownerReferences"],
        &path.child("ownerReferences"),
    ));
    problems.extend(finalizers(
        &metadata["finalizers"],
        &path.child("finalizers"),
    ));
    problems.extend(managed_fields(
        &metadata["managedFields"],
        &path.child("managedFields"),
    ));
    problems
}

/// Problems of an update's metadata. What the server puts back itself (uid, creation and deletion) must have been
/// put back before.
pub fn validate_update(object: &Value, old: &Value) -> Problems {
    let (path, new, old) = (Path::new("metadata"), &object["metadata"], &old["metadata"]);
    let mut problems = Problems::new();
    if !old["deletionTimestamp"].is_null() {
        problems.extend(no_new_finalizers(new, old, &path.child("finalizers")));
    }
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        problems.extend(immutable(new, old, &path, field));
    }
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        problems.extend(immutable(new, old, &path, field));
    }
    problems.extend(validate_labels(&new["labels"], &path.child("labels")));
    problems.extend(annotations(&new["annotations"], &path.child("annotations")));
    problems.extend(owners(
        &new["ownerReferences"],
        &path.child("ownerReferences"),
    ));
    problems.extend(managed_fields(
        &new["managedFields"],
        &path.child("managedFields"),
    ));
    problems
}

/// Problems of a map of labels, in any object.
pub fn validate_labels(labels: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let keys = names::is_qualified_name(key);
        problems.extend(
            keys.iter()
                .map(|t| Problem::invalid(path.clone(), key.as_str(), t)),
        );
        let values = names::is_label_value(value);
        problems.extend(
            values
                .iter()
                .map(|t| Problem::invalid(path.clone(), value, t)),
        );
    }
    problems
}

fn text<'a>(metadata: &'a Value, field: &str) -> Option<&'a str> {
    metadata.get(field).and_then(Value::as_str)
}

/// A generated name's prefix may end in a dash: five characters follow it.
fn masked_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(head) if !head.is_empty() => format!("{head}a"),
        _ => prefix.to_owned(),
    }
}

fn name(resource: &Resource, metadata: &Value, path: &Path) -> Problems {
    let field = path.child("name");
    match text(metadata, "name").filter(|name| !name.is_empty()) {
        None => vec![Problem::required(field, "name or generateName is required")],
        Some(name) => name_problems(resource.strategy.rules().name, name)
            .iter()
            .map(|text| Problem::invalid(field.clone(), name, text))
            .collect(),
    }
}

fn name_problems(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => names::is_dns1123_subdomain(name),
        NameRule::Label => names::is_dns1123_label(name),
        NameRule::PathSegment => names::is_path_segment_name(name),
        NameRule::IpAddress => match name.parse::<IpAddr>() {
            Ok(address) if address.to_string() == name => Vec::new(),
            Ok(address) => vec![format!("must be in canonical form (\"{address}\")")],
            Err(_) => {
                vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
            }
        },
    }
}

fn namespace(resource: &Resource, metadata: &Value, path: &Path) -> Problems {
    let field = path.child("namespace");
    let namespace = text(metadata, "namespace").unwrap_or_default();
    match (resource.namespaced, namespace.is_empty()) {
        (true, true) => vec![Problem::required(field, "")],
        (true, false) => names::is_dns1123_label(namespace)
            .iter()
            .map(|text| Problem::invalid(field.clone(), namespace, text))
            .collect(),
        (false, true) => Problems::new(),
        (false, false) => vec![Problem::forbidden(field, "not allowed on this type")],
    }
}

fn annotations(annotations: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let mut bytes = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        bytes += key.len() + value.as_str().map_or(0, str::len);
        let texts = names::is_qualified_name(&key.to_lowercase());
        problems.extend(
            texts
                .iter()
                .map(|t| Problem::invalid(path.clone(), key.as_str(), t)),
        );
    }
    if bytes > ANNOTATIONS_LIMIT {
        problems.push(Problem::too_long(path.clone(), ANNOTATIONS_LIMIT));
    }
    problems
}

fn owners(owners: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        problems.extend(owner_reference(owner, path));
        if owner["controller"] == true {
            let this = format!(
                "{}/{}",
                shown_plain(owner, "kind"),
                shown_plain(owner, "name")
            );
            match &controller {
                None => controller = Some(this),
                Some(first) => problems.push(Problem::invalid(
                    path.clone(),
                    owners.clone(),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for \
                         {first} and {this}"
                    ),
                )),
            }
        }
    }
    problems
}

fn owner_reference(owner: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let api_version = text(owner, "apiVersion").unwrap_or_default();
    let parts = [
        ("apiVersion", "version must not be empty"),
        ("kind", "must not be empty"),
        ("name", "must not be empty"),
        ("uid", "must not be empty"),
    ];
    for (field, detail) in parts {
        let value = text(owner, field).unwrap_or_default();
        if value.is_empty() {
            problems.push(Problem::invalid(path.child(field), value, detail));
        }
    }
    if api_version == "v1" && owner["kind"] == "Event" {
        let detail = "/v1, Kind=Event is disallowed from being an owner";
        problems.push(Problem::invalid(path.clone(), owner.clone(), detail));
    }
    problems
}

fn finalizers(finalizers: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let all: Vec<&str> = strings(finalizers);
    for finalizer in &all {
        let texts = names::is_qualified_name(finalizer);
        problems.extend(
            texts
                .iter()
                .map(|t| Problem::invalid(path.clone(), *finalizer, t)),
        );
    }
    if GC_FINALIZERS.iter().all(|name| all.contains(name)) {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        problems.push(Problem::invalid(path.clone(), finalizers.clone(), detail));
    }
    problems
}

fn no_new_finalizers(new: &Value, old: &Value, path: &Path) -> Problems {
    let before = strings(&old["finalizers"]);
    let mut extra = strings(&new["finalizers"]);
    extra.retain(|name| !before.contains(name));
    extra.sort_unstable();
    extra.dedup();
    if extra.is_empty() {
        return Problems::new();
    }
    let list: Vec<String> = extra.iter().map(|name| format!("\"{name}\"")).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        list.join(", ")
    );
    vec![Problem::forbidden(path.clone(), detail)]
}

fn managed_fields(entries: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (index, entry) in entries.as_array().into_iter().flatten().enumerate() {
        let path = path.index(index);
        let operation = text(entry, "operation").unwrap_or_default();
        if !matches!(operation, "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            problems.push(Problem::invalid(path.child("operation"), operation, detail));
        }
        let kind = text(entry, "fieldsType").unwrap_or_default();
        if !matches!(kind, "" | "FieldsV1") {
            problems.push(Problem::invalid(
                path.child("fieldsType"),
                kind,
                "must be `FieldsV1`",
            ));
        }
        let manager = text(entry, "manager").unwrap_or_default();
        problems.extend(validate_field_manager(manager, &path.child("manager")));
        if text(entry, "subresource").is_some_and(|name| name.len() > 256) {
            problems.push(Problem::too_long(path.child("subresource"), 256));
        }
    }
    problems
}

/// Problems of a field manager's name.
pub fn validate_field_manager(manager: &str, path: &Path) -> Problems {
    let mut problems = Problems::new();
    if manager.len() > 128 {
        problems.push(Problem::too_long(path.clone(), 128));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let detail = format!(
            "invalid character U+{:04X} (at position {at})",
            u32::from(c)
        );
        problems.push(Problem::invalid(path.clone(), manager, detail));
    }
    problems
}

fn immutable(new: &Value, old: &Value, path: &Path, field: &str) -> Option<Problem> {
    let (now, before) = (&new[field], &old[field]);
    (now != before).then(|| {
        let shown = if now.is_null() && field != "deletionTimestamp" {
            "\"\"".to_owned()
        } else {
            shown(now)
        };
        Problem::invalid_as(path.child(field), shown, "field is immutable")
    })
}

fn strings(list: &Value) -> Vec<&str> {
    let members: Option<&Vec<Value>> = list.as_array();
    members
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn shown_plain(object: &Value, field: &str) -> String {
    let map: Option<&Map<String, Value>> = object.as_object();
    let value = map.and_then(|map| map.get(field)).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}
