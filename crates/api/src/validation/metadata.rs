//! `ObjectMeta`: what any object's metadata may say, and what may never change.
//!
//! Upstream runs these checks twice: each kind's strategy begins with them (with its rule for names;
//! [`new_object`], [`update`]), and the generic machinery repeats them for all kinds (`rest.BeforeCreate`,
//! `rest.BeforeUpdate`; [`any_new_object`], [`any_update`]). So does Fairway, because on update the repeated
//! causes can be seen.

use serde_json::Value;

use super::json;
use super::labels::{annotations, invalid, labels};
use super::names::{self, NameRule};
use crate::field::{Path, Problem, Problems};

/// Problems of a new object's metadata, for strategies.
pub fn new_object(object: &Value, namespaced: bool, rule: NameRule) -> Problems {
    let mut problems = of_object(object, namespaced, rule);
    problems.extend(standard_finalizers(object));
    problems
}

/// Problems of changed metadata, for strategies. The old object is the stored one; of the new one the
/// machinery has filled in what the client may leave out.
pub fn update(new: &Value, old: &Value) -> Problems {
    let mut problems = of_change(new, old);
    problems.extend(standard_finalizers(new));
    problems
}

/// Problems of a new object's metadata whatever its kind, for the machinery.
pub fn any_new_object(object: &Value, namespaced: bool) -> Problems {
    of_object(object, namespaced, names::path_segment_name)
}

/// Problems of changed metadata whatever the kind, for the machinery.
pub fn any_update(new: &Value, old: &Value, namespaced: bool) -> Problems {
    let mut problems = any_new_object(new, namespaced);
    problems.extend(of_change(new, old));
    problems
}

fn of_object(object: &Value, namespaced: bool, rule: NameRule) -> Problems {
    let path = Path::new("metadata");
    let mut problems = Problems::new();
    let prefix = json::text(object, "/metadata/generateName");
    if !prefix.is_empty() {
        problems.extend(invalid(
            &path.child("generateName"),
            prefix,
            rule(prefix, true),
        ));
    }
    let name = json::text(object, "/metadata/name");
    if name.is_empty() {
        problems.push(Problem::required(
            path.child("name"),
            "name or generateName is required",
        ));
    } else {
        problems.extend(invalid(&path.child("name"), name, rule(name, false)));
    }
    problems.extend(namespace(object, namespaced, &path));
    problems.extend(not_negative(object, &path));
    problems.extend(maps_and_owners(object, &path));
    problems.extend(finalizers(object, &path.child("finalizers")));
    problems.extend(managed_fields(object, &path.child("managedFields")));
    problems
}

fn of_change(new: &Value, old: &Value) -> Problems {
    let path = Path::new("metadata");
    let mut problems = no_new_finalizers(new, old, &path.child("finalizers"));
    if json::text(new, "/metadata/resourceVersion").is_empty() {
        problems.push(Problem::invalid(
            path.child("resourceVersion"),
            "",
            "must be specified for an update",
        ));
    }
    let generation = json::integer(new, "/metadata/generation");
    if generation < json::integer(old, "/metadata/generation") {
        let at = path.child("generation");
        problems.push(Problem::invalid(at, generation, "must not be decremented"));
    }
    for member in FROZEN {
        problems.extend(frozen(new, old, member, &path));
    }
    problems.extend(maps_and_owners(new, &path));
    problems.extend(managed_fields(new, &path.child("managedFields")));
    problems
}

/// A field that may not change at all.
pub fn immutable(new: &Value, old: &Value, path: &Path) -> Problems {
    if new == old {
        Problems::new()
    } else {
        let problem = Problem::invalid(path.clone(), new.clone(), "field is immutable");
        vec![problem]
    }
}

const FROZEN: [&str; 6] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

fn frozen(new: &Value, old: &Value, member: &str, path: &Path) -> Problems {
    let read = |object: &Value| object["metadata"].get(member).cloned().unwrap_or_default();
    let (new, old) = (read(new), read(old));
    // Texts that are not there are empty, times and numbers null.
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    if empty(&new) && empty(&old) {
        return Problems::new();
    }
    let is_text = ["name", "namespace", "uid"].contains(&member);
    let new = if is_text && new.is_null() {
        "".into()
    } else {
        new
    };
    immutable(&new, &old, &path.child(member))
}

fn namespace(object: &Value, namespaced: bool, path: &Path) -> Problems {
    let at = path.child("namespace");
    match (namespaced, json::text(object, "/metadata/namespace")) {
        (true, "") => vec![Problem::required(at, "")],
        (true, value) => invalid(&at, value, names::dns_label_name(value, false)),
        (false, "") => Problems::new(),
        (false, _) => vec![Problem::forbidden(at, "not allowed on this type")],
    }
}

fn not_negative(object: &Value, path: &Path) -> Problems {
    let generation = json::integer(object, "/metadata/generation");
    if generation >= 0 {
        return Problems::new();
    }
    let words = "must be greater than or equal to 0";
    vec![Problem::invalid(
        path.child("generation"),
        generation,
        words,
    )]
}

fn maps_and_owners(object: &Value, path: &Path) -> Problems {
    let member = |name: &str| object["metadata"].get(name).unwrap_or(&Value::Null);
    let mut problems = labels(member("labels"), &path.child("labels"));
    let at = path.child("annotations");
    problems.extend(annotations(member("annotations"), &at));
    let owners = member("ownerReferences");
    problems.extend(owner_references(owners, &path.child("ownerReferences")));
    problems
}

fn owner_references(owners: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let mut controller: Option<String> = None;
    for owner in json::list(owners, "") {
        problems.extend(owner_reference(owner, path));
        if json::boolean(owner, "/controller") != Some(true) {
            continue;
        }
        let (kind, name) = (json::text(owner, "/kind"), json::text(owner, "/name"));
        let this = format!("{kind}/{name}");
        match &controller {
            None => controller = Some(this),
            Some(first) => problems.push(Problem::invalid_as(
                path.clone(),
                shown(owners),
                format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references \
                     for {first} and {this}"
                ),
            )),
        }
    }
    problems
}

fn shown(owners: &Value) -> String {
    let each: Vec<String> = json::list(owners, "").iter().map(in_go_order).collect();
    format!("[{}]", each.join(","))
}

/// Upstream prints owner references with the members in the order of the Go structure.
fn in_go_order(owner: &Value) -> String {
    const ORDER: [&str; 6] = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let member = |name: &&str| Some(format!("\"{name}\":{}", owner.get(*name)?));
    let members: Vec<String> = ORDER.iter().filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}

fn owner_reference(owner: &Value, path: &Path) -> Problems {
    let api_version = json::text(owner, "/apiVersion");
    // `group/version` or `version`; more slashes make no version at all (schema.FromAPIVersionAndKind).
    let (group, version) = match api_version.split('/').collect::<Vec<_>>().as_slice() {
        [version] => ("", *version),
        [group, version] => (*group, *version),
        _ => ("", ""),
    };
    let mut problems = Problems::new();
    if version.is_empty() {
        let at = path.child("apiVersion");
        problems.push(Problem::invalid(
            at,
            api_version,
            "version must not be empty",
        ));
    }
    for member in ["kind", "name", "uid"] {
        if json::text(owner, &format!("/{member}")).is_empty() {
            problems.push(Problem::invalid(
                path.child(member),
                "",
                "must not be empty",
            ));
        }
    }
    let kind = json::text(owner, "/kind");
    if (group, version, kind) == ("", "v1", "Event") {
        problems.push(Problem::invalid_as(
            path.clone(),
            in_go_order(owner),
            "/v1, Kind=Event is disallowed from being an owner",
        ));
    }
    problems
}

fn finalizers(object: &Value, path: &Path) -> Problems {
    let all = json::texts(object, "/metadata/finalizers");
    let mut problems = Problems::new();
    for name in &all {
        problems.extend(invalid(path, name, names::qualified_name(name)));
    }
    if all.contains(&"orphan") && all.contains(&"foregroundDeletion") {
        let words = "finalizer orphan and foregroundDeletion cannot be both set";
        problems.push(Problem::invalid(path.clone(), all, words));
    }
    problems
}

/// A finalizer: a name, Kubernetes' own or with a prefix.
pub(crate) fn finalizer(name: &str, at: &Path) -> Problems {
    let mut problems = invalid(at, name, names::qualified_name(name));
    problems.extend(standard_finalizer(name, at));
    problems
}

fn standard_finalizer(name: &str, at: &Path) -> Option<Problem> {
    const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    let words = "name is neither a standard finalizer name nor is it fully qualified";
    let bare = !name.contains('/') && !STANDARD.contains(&name);
    bare.then(|| Problem::invalid(at.clone(), name, words))
}

fn standard_finalizers(object: &Value) -> Problems {
    let path = Path::new("metadata.finalizers");
    let all = json::texts(object, "/metadata/finalizers").into_iter();
    all.enumerate()
        .filter_map(|(i, name)| standard_finalizer(name, &path.index(i)))
        .collect()
}

fn no_new_finalizers(new: &Value, old: &Value, path: &Path) -> Problems {
    if !json::present(old, "/metadata/deletionTimestamp") {
        return Problems::new();
    }
    let known = json::texts(old, "/metadata/finalizers");
    let mut extra = json::texts(new, "/metadata/finalizers");
    extra.retain(|name| !known.contains(name));
    extra.sort_unstable();
    extra.dedup();
    if extra.is_empty() {
        return Problems::new();
    }
    let shown: Vec<String> = extra.iter().map(|name| format!("\"{name}\"")).collect();
    let text = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        shown.join(", ")
    );
    vec![Problem::forbidden(path.clone(), text)]
}

fn managed_fields(object: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (i, entry) in json::list(object, "/metadata/managedFields")
        .iter()
        .enumerate()
    {
        let at = path.index(i);
        let operation = json::text(entry, "/operation");
        if !["Apply", "Update"].contains(&operation) {
            let words = "must be `Apply` or `Update`";
            problems.push(Problem::invalid(at.child("operation"), operation, words));
        }
        let kind = json::text(entry, "/fieldsType");
        if !["", "FieldsV1"].contains(&kind) {
            let words = "must be `FieldsV1`";
            problems.push(Problem::invalid(at.child("fieldsType"), kind, words));
        }
        if json::text(entry, "/manager").len() > 128 {
            problems.push(Problem::too_long(at.child("manager"), 128));
        }
        if json::text(entry, "/subresource").len() > 256 {
            problems.push(Problem::too_long(at.child("subresource"), 256));
        }
    }
    problems
}

#[cfg(test)]
mod tests;
