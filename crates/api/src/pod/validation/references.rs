//! References from a pod to its own fields and resources (the downward API).

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::schema::quantity::Quantity;
use crate::validation::check;
use crate::validation::json::text;

/// What a downward reference can name, whatever of it the place allows.
const KNOWN: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// The resources of a container that can be named.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// A `fieldRef`, where these fields are allowed, and members of labels and annotations.
pub(super) fn field_reference(reference: &Value, allowed: &[&str], path: &Path) -> Problems {
    for member in ["apiVersion", "fieldPath"] {
        let missing = check::needed(reference, member, path);
        if !missing.is_empty() {
            return missing;
        }
    }
    let field = text(reference, "/fieldPath");
    let at = path.child("fieldPath");
    let converted = match convert(text(reference, "/apiVersion"), field) {
        Ok(converted) => converted,
        Err(why) => {
            let words = format!("error converting fieldPath: {why}");
            return vec![Problem::invalid(at, field, words)];
        }
    };
    match subscript(converted) {
        Some(("metadata.annotations", key)) => check::qualified_name(&key.to_lowercase(), path),
        Some((_, key)) => check::qualified_name(key, path),
        None => check::known(converted, at, allowed),
    }
}

fn convert<'a>(version: &str, field: &'a str) -> Result<&'a str, String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    match subscript(field) {
        Some(("metadata.annotations" | "metadata.labels", _)) => Ok(field),
        Some(_) => Err(format!("field label does not support subscript: {field}")),
        None if KNOWN.contains(&field) => Ok(field),
        None if field == "spec.host" => Ok("spec.nodeName"),
        None => Err(format!("field label not supported: {field}")),
    }
}

/// `metadata.labels['key']` in its two parts.
fn subscript(field: &str) -> Option<(&str, &str)> {
    let (path, key) = field.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, key))
}

/// A `resourceFieldRef`; a volume has to say which container it means.
pub(super) fn resource_reference(reference: &Value, in_volume: bool, path: &Path) -> Problems {
    let resource = text(reference, "/resource");
    let mut problems = Problems::new();
    if in_volume && text(reference, "/containerName").is_empty() {
        problems.push(Problem::required(path.child("containerName"), ""));
    } else if resource.is_empty() {
        problems.push(Problem::required(path.child("resource"), ""));
    } else if !is_huge_pages(resource) {
        problems.extend(check::known(resource, path.child("resource"), &RESOURCES));
    }
    problems.extend(divisor(reference, resource, path));
    problems
}

fn is_huge_pages(resource: &str) -> bool {
    ["limits.hugepages-", "requests.hugepages-"]
        .iter()
        .any(|prefix| resource.starts_with(prefix))
}

const BYTES: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

fn divisor(reference: &Value, resource: &str, path: &Path) -> Problems {
    let said = text(reference, "/divisor");
    if Quantity::parse(said).map_or(true, |quantity| quantity.nano() == 0) {
        return Problems::new();
    }
    let (allowed, what): (&[&str], _) = match resource {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"], "cpu"),
        "limits.memory" | "requests.memory" => (&BYTES, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (&BYTES, "local ephemeral storage")
        }
        other if is_huge_pages(other) => (&BYTES, "hugepages"),
        _ => return Problems::new(),
    };
    if allowed.contains(&said) {
        return Problems::new();
    }
    let listed = match allowed.len() {
        2 => "1m and 1".to_owned(),
        _ => allowed.join(", "),
    };
    let words = format!("only divisor's values {listed} are supported with the {what} resource");
    vec![Problem::invalid(path.child("divisor"), resource, words)]
}
