//! Subresources that change a part of a pod's spec and nothing else.

use serde_json::Value;

use crate::validation::json::{list, restore};

/// For `ephemeralcontainers`.
pub(super) fn keep_all_but_ephemeral_containers(new: &mut Value, old: &Value) {
    let wanted = new["spec"].get("ephemeralContainers").cloned();
    new["spec"] = old["spec"].clone();
    match wanted {
        Some(containers) if !containers.is_null() => {
            new["spec"]["ephemeralContainers"] = containers;
        }
        _ => {
            if let Some(spec) = new["spec"].as_object_mut() {
                spec.remove("ephemeralContainers");
            }
        }
    }
    keep_the_rest(new, old);
}

/// For `resize`. Containers that were renamed, added or taken away are left for validation to refuse.
pub(super) fn keep_all_but_resources(new: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let count = |spec: &Value, member: &str| list(spec, &format!("/{member}")).len();
    if lists
        .iter()
        .any(|member| count(&new["spec"], member) != count(&old["spec"], member))
    {
        return;
    }
    let mut spec = old["spec"].clone();
    for member in lists {
        if count(&old["spec"], member) > 0 {
            spec[member] = resized(&new["spec"][member], &old["spec"][member]);
        }
    }
    restore(&mut spec, "", "resources", &new["spec"]);
    new["spec"] = spec;
    keep_the_rest(new, old);
}

fn resized(new: &Value, old: &Value) -> Value {
    let mut merged = old.clone();
    for (at, container) in list(new, "").iter().enumerate() {
        if container["name"] != old[at]["name"] {
            return new.clone();
        }
        for member in ["resources", "resizePolicy"] {
            restore(&mut merged[at], "", member, container);
        }
    }
    merged
}

/// What such a write never changes (`ResetObjectMetaForStatus`).
fn keep_the_rest(new: &mut Value, old: &Value) {
    new["status"] = old["status"].clone();
    for member in [
        "deletionTimestamp",
        "generation",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
    ] {
        restore(new, "/metadata", member, old);
    }
}
