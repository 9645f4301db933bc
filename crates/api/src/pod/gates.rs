//! Fields behind feature gates that are off in Kubernetes 1.36: accepted, and not kept
//! (`pod.DropDisabledTemplateFields`).

use serde_json::Value;

use crate::validation::json::{list_mut, remove};

/// Drops them from the template that `pointer` leads to.
pub(crate) fn drop_from_template(object: &mut Value, old: Option<&Value>, pointer: &str) {
    if let Some(template) = object.pointer_mut(pointer) {
        drop_disabled(template, old.and_then(|old| old.pointer(pointer)));
    }
}

/// Drops them from a pod or a template; what the stored object has already stays.
pub(crate) fn drop_disabled(template: &mut Value, old: Option<&Value>) {
    let had = |pointer: &str| old.is_some_and(|old| old.pointer(pointer).is_some());
    if !had("/spec/schedulingGroup") {
        remove(template, "/spec", "schedulingGroup");
    }
    for list in ["/spec/containers", "/spec/initContainers"] {
        for (index, container) in list_mut(template, list).iter_mut().enumerate() {
            if !had(&format!("{list}/{index}/lifecycle/stopSignal")) {
                drop_stop_signal(container);
            }
        }
    }
}

fn drop_stop_signal(container: &mut Value) {
    if container["lifecycle"]["stopSignal"].is_null() {
        return;
    }
    remove(container, "/lifecycle", "stopSignal");
    if container["lifecycle"]
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
    {
        remove(container, "", "lifecycle");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_behind_a_gate_is_not_kept_unless_it_was_there() {
        let pod = json!({"spec": {"schedulingGroup": {}, "containers": [{"name": "c", "lifecycle": {"stopSignal": "SIGINT"}}]}});
        let mut new = pod.clone();
        drop_disabled(&mut new, None);
        assert_eq!(new, json!({"spec": {"containers": [{"name": "c"}]}}));
        let mut kept = pod.clone();
        drop_disabled(&mut kept, Some(&pod));
        assert_eq!(kept, pod);
    }
}
