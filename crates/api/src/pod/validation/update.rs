//! What may change in a pod: images, the deadline, more tolerations, fewer gates; and ephemeral containers
//! by their own subresource.

use serde_json::Value;

use super::annotations;
use crate::field::{Path, Problem, Problems, shown};
use crate::schema::{diff, internal};
use crate::validation::json::{list, pairs, present, restore, text};
use crate::validation::{check, metadata, names};

const CHANGEABLE: &str = "pod updates may not change fields other than \
    `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
    `spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

const SOFT_LIMIT: i64 = i32::MAX as i64;

/// Problems of a changed pod.
pub(crate) fn problems(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata_and_rules(new, old);
    problems.extend(annotations::update(
        new,
        old,
        &Path::new("metadata.annotations"),
    ));
    let (new, old) = (&new["spec"], &old["spec"]);
    if changes(new, old, &mut problems).is_none() {
        return problems;
    }
    if new != old {
        let mut munged = with_changeable_of(new, old);
        if !list(old, "/schedulingGates").is_empty() {
            problems.extend(gated(&mut munged, old));
        }
        problems.extend(differs(&munged, old));
    }
    problems
}

fn metadata_and_rules(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata::update(new, old);
    problems.extend(metadata::new_object(new, true, names::dns_subdomain_name));
    problems.extend(super::any(new));
    problems
}

/// What is wrong with the changes of the fields that may change; none where upstream looks no further.
fn changes(new: &Value, old: &Value, problems: &mut Problems) -> Option<()> {
    let path = Path::new("spec");
    for member in ["containers", "initContainers"] {
        let (at, pointer) = (path.child(member), format!("/{member}"));
        let containers = list(new, &pointer);
        if containers.len() != list(old, &pointer).len() {
            let words = "pod updates may not add or remove containers";
            problems.push(Problem::forbidden(at, words));
            return None;
        }
        for (i, container) in containers.iter().enumerate() {
            problems.extend(check::needed(container, "image", &at.index(i)));
            problems.extend(super::containers::tidy_image(container, &at.index(i)));
        }
    }
    deadline(new, old, &path.child("activeDeadlineSeconds"), problems)?;
    problems.extend(tolerations(new, old, &path.child("tolerations")));
    problems.extend(gates(new, old, &path.child("schedulingGates")));
    Some(())
}

fn deadline(new: &Value, old: &Value, at: &Path, problems: &mut Problems) -> Option<()> {
    let read = |spec: &Value| spec["activeDeadlineSeconds"].as_i64();
    match (read(new), read(old)) {
        (Some(new), _) if !(0..=SOFT_LIMIT).contains(&new) => {
            problems.extend(check::within(new, at, 0, SOFT_LIMIT));
            None
        }
        (Some(new), Some(old)) if old < new => {
            let words = "must be less than or equal to previous value";
            problems.push(Problem::invalid(at.clone(), new, words));
            None
        }
        (None, Some(_)) => {
            let words = "must not update from a positive integer to nil value";
            problems.push(Problem::invalid(at.clone(), Value::Null, words));
            Some(())
        }
        _ => Some(()),
    }
}

/// There may be more of them, and their seconds may change.
fn tolerations(new: &Value, old: &Value, at: &Path) -> Problems {
    let timeless = |toleration: &Value| {
        let mut timeless = toleration.clone();
        if let Some(members) = timeless.as_object_mut() {
            members.remove("tolerationSeconds");
        }
        timeless
    };
    let now = list(new, "/tolerations");
    let kept: Vec<Value> = now.iter().map(timeless).collect();
    if list(old, "/tolerations")
        .iter()
        .any(|old| !kept.contains(&timeless(old)))
    {
        let words = "existing toleration can not be modified except its tolerationSeconds";
        return vec![Problem::forbidden(at.clone(), words)];
    }
    super::scheduling::tolerations(now, at)
}

fn gates(new: &Value, old: &Value, at: &Path) -> Problems {
    let before = list(old, "/schedulingGates");
    let mut problems = Problems::new();
    for (i, gate) in list(new, "/schedulingGates").iter().enumerate() {
        let name = text(gate, "/name");
        if !before.iter().any(|old| old["name"] == name) {
            let words = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            problems.push(Problem::forbidden(at.index(i).child("name"), words));
        }
    }
    problems
}

/// The new spec with the old values of what may change.
fn with_changeable_of(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for member in ["containers", "initContainers"] {
        for (i, old) in list(old, &format!("/{member}")).iter().enumerate() {
            restore(&mut munged[member][i], "", "image", old);
        }
    }
    for member in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        restore(&mut munged, "", member, old);
    }
    let grace = "terminationGracePeriodSeconds";
    if old[grace].as_i64().is_some_and(|before| before < 0) && munged[grace] == 1 {
        restore(&mut munged, "", grace, old);
    }
    munged
}

/// While a pod is held back, where it may run can be narrowed.
fn gated(munged: &mut Value, old: &Value) -> Problems {
    let path = Path::new("spec");
    let mut problems = Problems::new();
    let (now, before) = (pairs(munged, "/nodeSelector"), pairs(old, "/nodeSelector"));
    if before.iter().any(|pair| !now.contains(pair)) {
        let words = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        let shown = if munged["nodeSelector"].is_null() {
            "null".to_owned()
        } else {
            shown(&munged["nodeSelector"])
        };
        problems.push(Problem::invalid_as(
            path.child("nodeSelector"),
            shown,
            words,
        ));
    }
    restore(munged, "", "nodeSelector", old);
    let at = path.child("affinity").child("nodeAffinity");
    problems.extend(node_affinity(munged, old, &at));
    let of_nodes_only = |affinity: &Value| {
        affinity["podAffinity"].is_null() && affinity["podAntiAffinity"].is_null()
    };
    if munged["affinity"]["nodeAffinity"] != old["affinity"]["nodeAffinity"] {
        if old["affinity"].is_null() && of_nodes_only(&munged["affinity"]) {
            restore(munged, "", "affinity", old);
        } else if munged["affinity"].is_null() {
            munged["affinity"] =
                serde_json::json!({"nodeAffinity": old["affinity"]["nodeAffinity"]});
        } else {
            restore(munged, "/affinity", "nodeAffinity", old);
        }
    }
    problems
}

fn node_affinity(new: &Value, old: &Value, path: &Path) -> Problems {
    const TERMS: &str =
        "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let at = path
        .child("requiredDuringSchedulingIgnoredDuringExecution")
        .child("nodeSelectorTerms");
    let (new, old) = (list(new, TERMS), list(old, TERMS));
    let print = |ty: &str, value: &Value| internal::line(ty, value);
    if !old.is_empty() && new.len() != old.len() {
        let words = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        let terms: Vec<String> = new
            .iter()
            .map(|term| print("NodeSelectorTerm", term))
            .collect();
        let shown = if new.is_empty() {
            "null".to_owned()
        } else {
            format!("[{}]", terms.join(","))
        };
        return vec![Problem::invalid_as(at, shown, words)];
    }
    let mut problems = Problems::new();
    for (i, (new, old)) in new.iter().zip(old).enumerate() {
        if !only_adds(new, old) {
            let words = "only additions are allowed (no mutations or deletions)";
            let shown = print("NodeSelectorTerm", new);
            problems.push(Problem::invalid_as(at.index(i), shown, words));
        }
    }
    problems
}

/// A term that says nothing selects nothing, and has to stay so.
fn only_adds(new: &Value, old: &Value) -> bool {
    let parts =
        ["/matchExpressions", "/matchFields"].map(|part| (list(new, part), list(old, part)));
    let was_empty = parts.iter().all(|(_, old)| old.is_empty());
    if was_empty {
        return parts.iter().all(|(new, _)| new.is_empty());
    }
    parts.iter().all(|(new, old)| new.starts_with(old))
}

fn differs(munged: &Value, old: &Value) -> Option<Problem> {
    if munged == old {
        return None;
    }
    let print = |spec: &Value| internal::pretty("PodSpec", spec);
    let difference = diff::unified(&print(old), &print(munged));
    let words = format!("{CHANGEABLE}\n{difference}");
    Some(Problem::forbidden(Path::new("spec"), words))
}

/// Problems of a change of the ephemeral containers: there may be more of them.
pub(crate) fn ephemeral_containers(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata_and_rules(new, old);
    problems.extend(annotations::update(
        new,
        old,
        &Path::new("metadata.annotations"),
    ));
    if present(&old["metadata"], annotations::MIRROR_POINTER) {
        let words = "static pods do not support ephemeral containers";
        return vec![Problem::forbidden(Path::nameless(), words)];
    }
    let at = Path::new("spec.ephemeralContainers");
    let now = list(new, "/spec/ephemeralContainers");
    for old in list(old, "/spec/ephemeralContainers") {
        let name = shown(&old["name"]);
        match now.iter().rfind(|new| new["name"] == old["name"]) {
            None => {
                let words = format!("existing ephemeral containers {name} may not be removed\n");
                problems.push(Problem::forbidden(at.clone(), words));
            }
            Some(new) if new != old => {
                let print = |one: &Value| internal::pretty("EphemeralContainer", one);
                let difference = diff::unified(&print(old), &print(new));
                let words = format!(
                    "existing ephemeral containers {name} may not be changed\n{difference}"
                );
                problems.push(Problem::forbidden(at.clone(), words));
            }
            Some(_) => {}
        }
    }
    problems
}
