//! A container's environment: `env` and `envFrom`.

use serde_json::Value;

use super::references::{field_reference, resource_reference};
use crate::field::{Path, Problem, Problems};
use crate::validation::json::{list, present, text};
use crate::validation::{check, labels, names};

/// The fields of its pod that a variable can have.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const NO_SOURCE: &str = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
                         `secretKeyRef` or `fileKeyRef`";
const TOO_MANY: &str = "may not have more than one field specified at a time";

/// `env`.
pub(super) fn variables(container: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (i, variable) in list(container, "/env").iter().enumerate() {
        let at = path.index(i);
        problems.extend(name(variable, &at));
        problems.extend(source(variable, &at.child("valueFrom")));
    }
    problems
}

fn name(variable: &Value, path: &Path) -> Problems {
    let missing = check::needed(variable, "name", path);
    if !missing.is_empty() {
        return missing;
    }
    let value = text(variable, "/name");
    labels::invalid(
        &path.child("name"),
        value,
        names::relaxed_env_var_name(value),
    )
}

fn source(variable: &Value, path: &Path) -> Problems {
    if !present(variable, "/valueFrom") {
        return Problems::new();
    }
    let from = &variable["valueFrom"];
    let mut problems = Problems::new();
    let mut sources = 0;
    for (member, check) in SOURCES {
        if present(from, &format!("/{member}")) {
            sources += 1;
            problems.extend(check(&from[member], &path.child(member)));
        }
    }
    let complaint = match sources {
        0 => NO_SOURCE,
        _ if !text(variable, "/value").is_empty() => {
            "may not be specified when `value` is not empty"
        }
        1 => return problems,
        _ => TOO_MANY,
    };
    problems.push(Problem::invalid(path.clone(), "", complaint));
    problems
}

type Check = fn(&Value, &Path) -> Problems;

const SOURCES: [(&str, Check); 5] = [
    ("fieldRef", |field, at| field_reference(field, &FIELDS, at)),
    ("resourceFieldRef", |field, at| {
        resource_reference(field, false, at)
    }),
    ("configMapKeyRef", key),
    ("secretKeyRef", key),
    ("fileKeyRef", file),
];

fn key(reference: &Value, path: &Path) -> Problems {
    let name = text(reference, "/name");
    let mut problems = check::dns_subdomain(name, &path.child("name"));
    match text(reference, "/key") {
        "" => problems.extend(check::needed(reference, "key", path)),
        key => problems.extend(labels::invalid(
            &path.child("key"),
            key,
            names::config_map_key(key),
        )),
    }
    problems
}

type TextCheck = fn(&str, &Path) -> Problems;

fn file(reference: &Value, path: &Path) -> Problems {
    let members: [(&str, TextCheck); 3] = [
        ("key", |value, at| {
            labels::invalid(at, value, names::relaxed_env_var_name(value))
        }),
        ("volumeName", check::dns_label),
        ("path", check::no_backsteps),
    ];
    let mut problems = Problems::new();
    for (member, check) in members {
        match reference[member].as_str().unwrap_or_default() {
            "" => problems.push(Problem::required(path.child(member), "")),
            value => problems.extend(check(value, &path.child(member))),
        }
    }
    problems
}

/// `envFrom`.
pub(super) fn sources(container: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (i, from) in list(container, "/envFrom").iter().enumerate() {
        let at = path.index(i);
        let prefix = text(from, "/prefix");
        if !prefix.is_empty() {
            let found = names::relaxed_env_var_name(prefix);
            problems.extend(labels::invalid(&at.child("prefix"), prefix, found));
        }
        let mut sources = 0;
        for member in ["configMapRef", "secretRef"] {
            if present(from, &format!("/{member}")) {
                sources += 1;
                problems.extend(named(&from[member], &at.child(member)));
            }
        }
        // Upstream complains about the list, not the member.
        match sources {
            0 => problems.push(Problem::invalid(
                path.clone(),
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            )),
            1 => {}
            _ => problems.push(Problem::invalid(path.clone(), "", TOO_MANY)),
        }
    }
    problems
}

fn named(reference: &Value, path: &Path) -> Problems {
    match text(reference, "/name") {
        "" => check::needed(reference, "name", path),
        name => labels::invalid(
            &path.child("name"),
            name,
            names::dns_subdomain_name(name, true),
        ),
    }
}

/// A variable from a file wants an `emptyDir` to read it from.
pub(super) fn file_volumes(spec: &Value, path: &Path) -> Problems {
    let volumes = list(spec, "/volumes");
    let mut problems = Problems::new();
    for (container, at) in super::all_containers(spec, path) {
        for (i, variable) in list(container, "/env").iter().enumerate() {
            if !present(variable, "/valueFrom/fileKeyRef") {
                continue;
            }
            let name = text(variable, "/valueFrom/fileKeyRef/volumeName");
            let at = at
                .child("env")
                .index(i)
                .child("valueFrom.fileKeyRef.volumeName");
            match volumes.iter().rfind(|volume| volume["name"] == name) {
                None => problems.push(Problem::not_found(at, name)),
                Some(volume) if !present(volume, "/emptyDir") => {
                    let words = "referenced volume must be of type emptyDir";
                    problems.push(Problem::invalid(at, name, words));
                }
                Some(_) => {}
            }
        }
    }
    problems
}
