//! What may change by the `resize` subresource: processors and memory of containers.

use serde_json::{Map, Value};

use super::annotations;
use crate::field::{Path, Problem, Problems};
use crate::pod::qos;
use crate::validation::json::{list, present, restore, text};
use crate::validation::{metadata, names};

const ONLY: &str = "only cpu and memory resources are mutable";

/// Problems of a resized pod.
pub(crate) fn problems(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata::update(new, old);
    problems.extend(metadata::new_object(new, true, names::dns_subdomain_name));
    problems.extend(super::any(new));
    let nowhere = |words: &str| vec![Problem::forbidden(Path::nameless(), words)];
    if present(&old["metadata"], annotations::MIRROR_POINTER) {
        return nowhere("static pods cannot be resized");
    }
    if old["spec"]["os"]["name"] == "windows" {
        return nowhere("windows pods cannot be resized");
    }
    let path = Path::new("spec");
    if text(old, "/status/qosClass") != qos::class(&new["spec"]) {
        let words = "Pod QOS Class may not change as a result of resizing";
        let class = text(new, "/status/qosClass");
        problems.push(Problem::invalid(path.clone(), class, words));
    }
    if !node_can(old) {
        let words = "Pod running on node without support for resize";
        problems.push(Problem::forbidden(path.clone(), words));
    }
    problems.extend(of_spec(&new["spec"], &old["spec"], &path));
    problems
}

/// A running container tells its resources where the node can resize.
fn node_can(pod: &Value) -> bool {
    let statuses = list(pod, "/status/containerStatuses");
    let running = statuses
        .iter()
        .find(|status| present(status, "/state/running"));
    running.is_none_or(|status| present(status, "/resources"))
}

fn of_spec(new: &Value, old: &Value, path: &Path) -> Problems {
    let mut munged = new.clone();
    let mut problems = of_pod(new, old, &mut munged, path);
    let order = containers_stay(new, old, path);
    if !order.is_empty() {
        problems.extend(order);
        return problems;
    }
    for member in ["initContainers", "containers"] {
        let pointer = format!("/{member}");
        for (i, (new, old)) in list(new, &pointer)
            .iter()
            .zip(list(old, &pointer))
            .enumerate()
        {
            let at = path.child(member).index(i).child("resources");
            problems.extend(nothing_removed(new, old, "resource", &at));
        }
    }
    for i in 0..list(old, "/containers").len() {
        let old = &old["containers"][i];
        if !equal_but_for_size(&mut munged["containers"][i], old) {
            problems.push(Problem::forbidden(path.clone(), ONLY));
        }
    }
    for i in 0..list(old, "/initContainers").len() {
        let at = path.child("initContainers").index(i);
        let (old, munged) = (&old["initContainers"][i], &mut munged["initContainers"][i]);
        problems.extend(init(munged, old, &at));
    }
    if problems.is_empty() && munged != *old {
        problems.push(Problem::forbidden(path.clone(), ONLY));
    }
    problems
}

fn init(munged: &mut Value, old: &Value, at: &Path) -> Problems {
    let changed = munged != old;
    let mut problems = Problems::new();
    if !equal_but_for_size(munged, old) {
        let words = "only cpu and memory resources for init or sidecar containers are mutable";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    if changed && munged["restartPolicy"] != "Always" {
        let restarts = list(munged, "/resizePolicy");
        let restarts = restarts
            .iter()
            .filter(|policy| policy["restartPolicy"] == "RestartContainer");
        let words = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
        problems.extend(restarts.map(|_| Problem::forbidden(at.clone(), words)));
    }
    problems
}

/// The pod's own resources.
fn of_pod(new: &Value, old: &Value, munged: &mut Value, path: &Path) -> Problems {
    let is_set =
        |spec: &Value| present(spec, "/resources/requests") || present(spec, "/resources/limits");
    if !is_set(new) && !is_set(old) {
        return Problems::new();
    }
    let at = path.child("resources");
    if present(old, "/resources") && !present(new, "/resources") {
        return vec![Problem::forbidden(
            at,
            "pod-level resources cannot be removed",
        )];
    }
    let mut problems = Problems::new();
    if present(old, "/resources") {
        problems.extend(nothing_removed(new, old, "pod-level resource", &at));
    }
    if !equal_but_for_size(munged, old) && munged["resources"] != old["resources"] {
        let words = "only cpu and memory resources are mutable at pod-level";
        problems.push(Problem::forbidden(path.clone(), words));
    }
    problems
}

fn containers_stay(new: &Value, old: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for member in ["containers", "initContainers"] {
        let (at, pointer) = (path.child(member), format!("/{member}"));
        let (new, old) = (list(new, &pointer), list(old, &pointer));
        if new.len() != old.len() {
            let words = format!("{member} may not be added or removed on resize");
            problems.push(Problem::forbidden(at, words));
            continue;
        }
        for (i, _) in new
            .iter()
            .zip(old)
            .enumerate()
            .filter(|(_, (new, old))| new["name"] != old["name"])
        {
            let words = format!("{member} may not be renamed or reordered on resize");
            problems.push(Problem::forbidden(at.index(i).child("name"), words));
        }
    }
    problems
}

fn nothing_removed(new: &Value, old: &Value, what: &str, at: &Path) -> Problems {
    let mut problems = Problems::new();
    for member in ["requests", "limits"] {
        let members = |owner: &Value| {
            owner["resources"][member]
                .as_object()
                .cloned()
                .unwrap_or_default()
        };
        let (new, old) = (members(new), members(old));
        if old.keys().any(|name| !new.contains_key(name)) {
            let words = format!("{what} {member} cannot be removed");
            problems.push(Problem::forbidden(at.child(member), words));
        }
    }
    problems
}

/// Gives processors and memory their old values, and says whether all is as before then.
fn equal_but_for_size(munged: &mut Value, old: &Value) -> bool {
    for list in ["limits", "requests"] {
        let parent = format!("/resources/{list}");
        for name in ["cpu", "memory"] {
            restore(munged, &parent, name, old);
        }
        let is_empty = |map: Option<&Map<String, Value>>| map.is_some_and(Map::is_empty);
        if is_empty(munged["resources"][list].as_object()) {
            restore(munged, "/resources", list, old);
        }
    }
    if old["resources"].is_null() && munged["resources"].as_object().is_some_and(Map::is_empty) {
        restore(munged, "", "resources", old);
    }
    munged == old
}
