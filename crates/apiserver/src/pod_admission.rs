//! What upstream's admission adds to a pod: tolerations of a lost node (`plugin/pkg/admission/defaulttolerationseconds`)
//! and a priority (see [`priority`](crate::priority)); and what it asks of runtime classes, of which there are none.

use api::status::Status;
use serde_json::{Value, json};

use crate::priority;

/// How long a pod stays on a node that is not ready or not reachable.
const TOLERATION_SECONDS: u64 = 300;

/// The conditions of nodes that are tolerated for a while.
const NODE_TAINTS: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];

/// Fills in a new pod, given the priority classes there are.
///
/// # Errors
/// 403, when its priority is not that of its class, or a class that it names does not exist.
pub(crate) fn admit(pod: &mut Value, classes: &[Value]) -> Result<(), Status> {
    tolerate(pod);
    priority::prioritize(pod, classes)?;
    runtime_class(pod)
}

/// Fills in a changed pod what its writer left out; validation refuses what may not change.
pub(crate) fn admit_update(pod: &mut Value, old: &Value) {
    tolerate(pod);
    for member in ["priority", "preemptionPolicy"] {
        let (before, Some(spec)) = (&old["spec"][member], pod["spec"].as_object_mut()) else {
            continue;
        };
        if !before.is_null() && spec.get(member).is_none_or(Value::is_null) {
            spec.insert(member.to_owned(), before.clone());
        }
    }
}

fn runtime_class(pod: &Value) -> Result<(), Status> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    match pod["spec"]["runtimeClassName"].as_str() {
        Some("") => Err(Status::untyped("resource name may not be empty")),
        Some(class) => {
            let why = format!("pod rejected: RuntimeClass \"{class}\" not found");
            Err(Status::forbidden("", "pods", name, &why))
        }
        None => Ok(()),
    }
}

/// What is refused of a pod that is valid: an overhead comes from a runtime class alone.
pub(crate) fn check(pod: &Value) -> Result<(), Status> {
    if pod["spec"]["overhead"].is_null() {
        return Ok(());
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
    Err(Status::forbidden("", "pods", name, why))
}

fn tolerate(pod: &mut Value) {
    let Some(spec) = pod["spec"].as_object_mut() else {
        return;
    };
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else {
        return;
    };
    let covers = |toleration: &Value, key: &str| {
        let text = |field: &str| toleration[field].as_str().unwrap_or_default();
        (text("key").is_empty() || text("key") == key) && matches!(text("effect"), "" | "NoExecute")
    };
    let missing = NODE_TAINTS
        .iter()
        .filter(|key| !tolerations.iter().any(|t| covers(t, key)));
    let added: Vec<Value> = missing
        .map(|key| {
            json!({
                "key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": TOLERATION_SECONDS,
            })
        })
        .collect();
    tolerations.extend(added);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_tolerates_a_lost_node_for_a_while_unless_it_says_otherwise() {
        let mut pod = json!({"spec": {}});
        admit(&mut pod, &[]).unwrap();
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        assert_eq!(pod["spec"]["priority"], 0);
        let own = json!([{"operator": "Exists"}]);
        let mut pod = json!({"spec": {"tolerations": own}});
        admit(&mut pod, &[]).unwrap();
        assert_eq!(pod["spec"]["tolerations"], own);
    }

    #[test]
    fn an_update_keeps_what_admission_gave() {
        let mut old = json!({"spec": {}});
        admit(&mut old, &[]).unwrap();
        let mut new = json!({"spec": {}});
        admit_update(&mut new, &old);
        assert_eq!(new, old);
    }

    #[test]
    fn there_are_no_runtime_classes() {
        let mut pod = json!({"spec": {"runtimeClassName": "x"}});
        assert_eq!(admit(&mut pod, &[]).unwrap_err().code, 403);
        let pod = json!({"spec": {"overhead": {"cpu": "1"}}});
        assert_eq!(check(&pod).unwrap_err().code, 403);
    }
}
