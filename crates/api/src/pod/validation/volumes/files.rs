//! Sources that are files: of the host, of ConfigMaps and Secrets, of the pod's own fields.

use serde_json::Value;

use super::super::references::{field_reference, resource_reference};
use super::Place;
use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{list, present, text};

/// The fields of its pod that a file can hold.
const FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// `mode` or `defaultMode`.
fn mode(owner: &Value, member: &str, path: &Path) -> Option<Problem> {
    let mode = owner[member].as_i64()?;
    let wrong = !(0..=0o777).contains(&mode);
    wrong.then(|| Problem::invalid(path.child(member), mode, MODE))
}

pub(super) fn host_path(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    const KINDS: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let missing = check::needed(source, "path", path);
    if !missing.is_empty() {
        return missing;
    }
    let mut problems = check::no_backsteps(text(source, "/path"), &path.child("path"));
    problems.extend(check::known_if_set(source, "type", path, &KINDS));
    problems
}

pub(super) fn git_repo(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = check::needed(source, "repository", path);
    let folder = text(source, "/directory");
    problems.extend(check::descending_path(folder, &path.child("directory")));
    problems
}

pub(super) fn secret(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    keyed(source, "secretName", path)
}

pub(super) fn config_map(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    keyed(source, "name", path)
}

fn keyed(source: &Value, name: &str, path: &Path) -> Problems {
    let mut problems = check::needed(source, name, path);
    problems.extend(mode(source, "defaultMode", path));
    for (i, item) in list(source, "/items").iter().enumerate() {
        problems.extend(key_to_path(item, &path.child("items").index(i)));
    }
    problems
}

fn key_to_path(item: &Value, path: &Path) -> Problems {
    let mut problems = check::needed(item, "key", path);
    problems.extend(check::needed(item, "path", path));
    problems.extend(check::free_path(text(item, "/path"), &path.child("path")));
    problems.extend(mode(item, "mode", path));
    problems
}

pub(super) fn downward_api(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems: Problems = mode(source, "defaultMode", path).into_iter().collect();
    for file in list(source, "/items") {
        problems.extend(downward_file(file, path));
    }
    problems
}

/// Upstream reports a file's problems at the source.
fn downward_file(file: &Value, path: &Path) -> Problems {
    let mut problems = check::needed(file, "path", path);
    problems.extend(check::free_path(text(file, "/path"), &path.child("path")));
    let (field, resource) = (&file["fieldRef"], &file["resourceFieldRef"]);
    if !field.is_null() {
        problems.extend(field_reference(field, &FIELDS, &path.child("fieldRef")));
        if !resource.is_null() {
            let words = "fieldRef and resourceFieldRef can not be specified simultaneously";
            problems.push(Problem::invalid(path.clone(), "resource", words));
        }
    } else if !resource.is_null() {
        problems.extend(resource_reference(
            resource,
            true,
            &path.child("resourceFieldRef"),
        ));
    } else {
        let words = "one of fieldRef and resourceFieldRef is required";
        problems.push(Problem::required(path.clone(), words));
    }
    problems.extend(mode(file, "mode", path));
    problems
}

pub(super) fn projected(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems: Problems = mode(source, "defaultMode", path).into_iter().collect();
    let mut paths: Vec<&str> = Vec::new();
    for (i, source) in list(source, "/sources").iter().enumerate() {
        let at = path.child("sources").index(i);
        let mut kinds = 0;
        for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken"] {
            if !present(source, &format!("/{kind}")) {
                continue;
            }
            kinds += 1;
            let (from, at) = (&source[kind], at.child(kind));
            problems.extend(match kind {
                "serviceAccountToken" => token(from, path, &at),
                "downwardAPI" => projected_fields(from, path, &at, &mut paths),
                _ => projected_keys(from, path, &at, &mut paths),
            });
        }
        if kinds > 1 {
            let words = "may not specify more than 1 volume type per source";
            problems.push(Problem::forbidden(at, words));
        }
    }
    problems
}

fn projected_keys<'a>(
    from: &'a Value,
    volume: &Path,
    path: &Path,
    paths: &mut Vec<&'a str>,
) -> Problems {
    let mut problems = check::needed(from, "name", path);
    for (i, item) in list(from, "/items").iter().enumerate() {
        problems.extend(key_to_path(item, &path.child("items").index(i)));
        problems.extend(once(
            text(item, "/path"),
            text(from, "/name"),
            volume,
            paths,
        ));
    }
    problems
}

fn projected_fields<'a>(
    from: &'a Value,
    volume: &Path,
    path: &Path,
    paths: &mut Vec<&'a str>,
) -> Problems {
    let mut problems = Problems::new();
    for file in list(from, "/items") {
        problems.extend(downward_file(file, path));
        let file = text(file, "/path");
        problems.extend(once(file, file, volume, paths));
    }
    problems
}

/// No two sources may make the same file.
fn once<'a>(
    file: &'a str,
    shown: &str,
    volume: &Path,
    paths: &mut Vec<&'a str>,
) -> Option<Problem> {
    if file.is_empty() {
        return None;
    }
    if paths.contains(&file) {
        return Some(Problem::invalid(
            volume.clone(),
            shown,
            "conflicting duplicate paths",
        ));
    }
    paths.push(file);
    None
}

fn token(token: &Value, volume: &Path, path: &Path) -> Problems {
    let (at, seconds) = (
        path.child("expirationSeconds"),
        token["expirationSeconds"].as_i64().unwrap_or(0),
    );
    let mut problems = Problems::new();
    if seconds < 600 {
        let words = "may not specify a duration less than 10 minutes";
        problems.push(Problem::invalid(at, seconds, words));
    } else if seconds > 1 << 32 {
        let words = "may not specify a duration larger than 2^32 seconds";
        problems.push(Problem::invalid(at, seconds, words));
    }
    problems.extend(check::needed(token, "path", volume));
    problems.extend(check::free_path(
        text(token, "/path"),
        &volume.child("path"),
    ));
    problems
}
