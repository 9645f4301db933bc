//! A pod's status: what it begins with, and what a write of it keeps (`podStatusStrategy`).

use serde_json::{Value, json};

use super::qos;
use crate::validation::json::{default, integer, list, list_mut, remove, restore, set};

/// The status of a new pod.
pub(super) fn initial(pod: &Value) -> Value {
    let mut status = json!({"phase": "Pending", "qosClass": qos::class(&pod["spec"])});
    if !list(pod, "/spec/schedulingGates").is_empty() {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": pod["metadata"]["creationTimestamp"],
        }]);
    }
    status
}

/// Puts back all but the status, and in it what writers of an older kind leave out.
pub(super) fn prepare(new: &mut Value, old: &Value) {
    new["spec"] = old["spec"].clone();
    remove(new, "/metadata", "deletionTimestamp");
    restore(new, "/metadata", "ownerReferences", old);
    let class = old["status"]["qosClass"].as_str().unwrap_or_default();
    if !class.is_empty() && new["status"].is_object() {
        default(&mut new["status"], "qosClass", class);
    }
    observed_generations(new, old);
}

fn observed_generations(new: &mut Value, old: &Value) {
    let before = integer(old, "/status/observedGeneration");
    if integer(new, "/status/observedGeneration") == 0 && before != 0 {
        set(new, "/status", "observedGeneration", before);
    }
    let mut known: Vec<(&Value, i64)> = list(old, "/status/conditions")
        .iter()
        .map(|condition| {
            (
                &condition["type"],
                integer(condition, "/observedGeneration"),
            )
        })
        .collect();
    for condition in list_mut(new, "/status/conditions") {
        let Some(at) = known
            .iter()
            .position(|(kind, _)| **kind == condition["type"])
        else {
            continue;
        };
        let (_, generation) = known.remove(at);
        if integer(condition, "/observedGeneration") == 0 && generation != 0 {
            set(condition, "", "observedGeneration", generation);
        }
    }
}
