//! A claim for storage that is made for the pod.

use serde_json::Value;

use super::Place;
use crate::field::{Path, Problem, Problems};
use crate::validation::json::{present, text, texts};
use crate::validation::{check, labels, resource};

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

pub(super) fn ephemeral(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let at = path.child("volumeClaimTemplate");
    if !present(source, "/volumeClaimTemplate") {
        return vec![Problem::required(at, "")];
    }
    let template = &source["volumeClaimTemplate"];
    let mut problems = metadata(template, &at);
    problems.extend(spec(&template["spec"], &at.child("spec")));
    problems
}

/// A template's metadata is labels and annotations.
fn metadata(template: &Value, path: &Path) -> Problems {
    let (meta, at) = (&template["metadata"], path.child("metadata"));
    let mut problems = labels::annotations(&meta["annotations"], &at.child("annotations"));
    problems.extend(labels::labels(&meta["labels"], &at.child("labels")));
    let members = [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
        "finalizers",
        "managedFields",
    ];
    let set = members
        .into_iter()
        .filter(|member| !meta[*member].is_null());
    problems.extend(set.map(|member| Problem::forbidden(at.child(member), "cannot be set")));
    problems
}

fn spec(spec: &Value, path: &Path) -> Problems {
    let mut problems = access_modes(spec, path);
    let at = path.child("resources").key("storage");
    match spec["resources"]["requests"]["storage"].as_str() {
        None => problems.push(Problem::required(at, "")),
        Some(amount) if resource::compare(amount, "0").is_le() => {
            problems.push(Problem::invalid(at, amount, check::NOT_POSITIVE));
        }
        Some(amount) => problems.extend(resource::amount("storage", amount, &at)),
    }
    problems.extend(class_name(spec, "storageClassName", path));
    problems.extend(check::known_if_set(
        spec,
        "volumeMode",
        path,
        &["Block", "Filesystem"],
    ));
    problems.extend(data_sources(spec, path));
    problems.extend(class_name(spec, "volumeAttributesClassName", path));
    problems
}

fn class_name(spec: &Value, member: &str, path: &Path) -> Problems {
    match spec[member].as_str() {
        None | Some("") => Problems::new(),
        Some(name) => check::dns_subdomain(name, &path.child(member)),
    }
}

fn access_modes(spec: &Value, path: &Path) -> Problems {
    let (modes, at) = (texts(spec, "/accessModes"), path.child("accessModes"));
    let mut problems = Problems::new();
    if modes.is_empty() {
        problems.push(Problem::required(
            at.clone(),
            "at least 1 access mode is required",
        ));
    }
    problems.extend(labels::selector(&spec["selector"], &path.child("selector")));
    for mode in &modes {
        problems.extend(check::known(mode, at.clone(), &ACCESS_MODES));
    }
    let others = modes
        .iter()
        .any(|mode| *mode != "ReadWriteOncePod" && ACCESS_MODES.contains(mode));
    if others && modes.contains(&"ReadWriteOncePod") {
        let words = "may not use ReadWriteOncePod with other access modes";
        problems.push(Problem::forbidden(at, words));
    }
    problems
}

fn data_sources(spec: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for member in ["dataSource", "dataSourceRef"] {
        if present(spec, &format!("/{member}")) {
            problems.extend(data_source(&spec[member], &path.child(member)));
        }
    }
    let (plain, reference) = (&spec["dataSource"], &spec["dataSourceRef"]);
    if plain.is_null() || reference.is_null() {
        return problems;
    }
    let same = ["apiGroup", "kind", "name"]
        .iter()
        .all(|member| plain[*member] == reference[*member]);
    let words = if !text(reference, "/namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !same {
        "must match dataSourceRef"
    } else {
        return problems;
    };
    // The value is a path of upstream's own, which prints as an empty object.
    problems.push(Problem::invalid_as(path.clone(), "{}", words));
    problems
}

fn data_source(source: &Value, path: &Path) -> Problems {
    let mut problems = check::needed(source, "name", path);
    problems.extend(check::needed(source, "kind", path));
    let (group, kind) = (text(source, "/apiGroup"), text(source, "/kind"));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let words = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        problems.push(Problem::invalid(path.clone(), kind, words));
    } else if !group.is_empty() {
        problems.extend(check::dns_subdomain(group, &path.child("apiGroup")));
    }
    let namespace = text(source, "/namespace");
    if !namespace.is_empty() {
        problems.extend(check::dns_label(namespace, &path.child("namespace")));
    }
    problems
}
