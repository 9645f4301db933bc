//! Priorities of pods, which come from their PriorityClass alone, and what keeps the classes in order
//! (`plugin/pkg/admission/priority`).

use api::priority_class::{PREEMPT, SYSTEM, is_default};
use api::status::Status;
use api::validation::json::{integer, text};
use serde_json::{Value, json};

use crate::api_state::Api;

const GROUP: &str = "scheduling.k8s.io";
const PLURAL: &str = "priorityclasses";

/// The classes that there are.
pub(crate) fn classes(api: &Api) -> Vec<Value> {
    let stored = api.registry.kind(GROUP, PLURAL).list("").objects;
    stored.iter().map(|class| class.value()).collect()
}

/// Gives a new pod the priority of its class, or of the default class where it names none.
///
/// # Errors
/// 403, when it says a priority that is not its class's, or its class does not exist.
pub(crate) fn prioritize(pod: &mut Value, classes: &[Value]) -> Result<(), Status> {
    let name = text(pod, "/metadata/name").to_owned();
    let refuse = |why: String| Err(Status::forbidden("", "pods", &name, &why));
    let asked = text(pod, "/spec/priorityClassName");
    let class = if asked.is_empty() {
        default_class(classes)
    } else {
        let named = classes.iter().find(|class| class_name(class) == asked);
        if named.is_none() {
            return refuse(format!("no PriorityClass with name {asked} was found"));
        }
        named
    };
    let priority = class.map_or(0, value);
    let policy = class.map_or(PREEMPT, |class| text(class, "/preemptionPolicy"));
    let said = pod["spec"]["priority"].as_i64();
    if let Some(said) = said.filter(|said| *said != priority) {
        return refuse(format!(
            "the integer value of priority ({said}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name"
        ));
    }
    let said = pod["spec"]["preemptionPolicy"].as_str();
    if let Some(said) = said.filter(|said| *said != policy) {
        return refuse(format!(
            "the string value of PreemptionPolicy ({said}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        ));
    }
    let class_name = class.map(class_name);
    if let Some(spec) = pod["spec"].as_object_mut() {
        if let Some(name) = class_name {
            spec.insert("priorityClassName".to_owned(), json!(name));
        }
        spec.insert("priority".to_owned(), priority.into());
        spec.insert("preemptionPolicy".to_owned(), policy.into());
    }
    Ok(())
}

/// There is one default class at most.
///
/// # Errors
/// 403, when this would be the second.
pub(crate) fn check_class(
    class: &Value,
    old: Option<&Value>,
    classes: &[Value],
) -> Result<(), Status> {
    let Some(default) = default_class(classes).filter(|_| is_default(class)) else {
        return Ok(());
    };
    let (name, default) = (class_name(class), class_name(default));
    if old.is_some() && default == name {
        return Ok(());
    }
    let why =
        format!("PriorityClass {default} is already marked as default. Only one default can exist");
    Err(Status::forbidden(GROUP, PLURAL, name, &why))
}

/// The cluster's own classes stay.
///
/// # Errors
/// 403, when it is one of them.
pub(crate) fn check_deletion(name: &str) -> Result<(), Status> {
    if SYSTEM.iter().all(|class| class.name != name) {
        return Ok(());
    }
    let why = "this is a system priority class and cannot be deleted";
    Err(Status::forbidden(GROUP, PLURAL, name, why))
}

/// Of several that were marked at the same time, the lowest.
fn default_class(classes: &[Value]) -> Option<&Value> {
    let marked = classes.iter().filter(|class| is_default(class));
    marked.min_by_key(|class| value(class))
}

fn class_name(class: &Value) -> &str {
    text(class, "/metadata/name")
}

fn value(class: &Value) -> i64 {
    integer(class, "/value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, value: i64, default: bool) -> Value {
        json!({"metadata": {"name": name}, "value": value, "globalDefault": default, "preemptionPolicy": "Never"})
    }

    #[test]
    fn a_priority_comes_from_the_class_alone() {
        let classes = [class("high", 7, false)];
        let mut pod = json!({"spec": {"priorityClassName": "high"}});
        prioritize(&mut pod, &classes).unwrap();
        assert_eq!(
            pod["spec"],
            json!({"priorityClassName": "high", "priority": 7, "preemptionPolicy": "Never"})
        );
        prioritize(&mut pod, &classes).unwrap();
        let refused = [
            json!({"priority": 5}),
            json!({"priorityClassName": "nope"}),
            json!({"priorityClassName": "high", "preemptionPolicy": PREEMPT}),
        ];
        for spec in refused {
            let answer = prioritize(&mut json!({"spec": spec}), &classes);
            assert_eq!(answer.unwrap_err().code, 403);
        }
    }

    #[test]
    fn pods_without_a_class_get_the_default_class() {
        let mut pod = json!({"spec": {}});
        prioritize(&mut pod, &[class("high", 7, false)]).unwrap();
        assert_eq!(
            pod["spec"],
            json!({"priority": 0, "preemptionPolicy": PREEMPT})
        );
        let classes = [class("b", 3, true), class("a", 2, true)];
        let mut pod = json!({"spec": {}});
        prioritize(&mut pod, &classes).unwrap();
        assert_eq!(pod["spec"]["priorityClassName"], "a");
        assert_eq!(pod["spec"]["priority"], 2);
    }

    #[test]
    fn there_is_one_default_class_and_the_systems_stay() {
        let classes = [class("a", 2, true)];
        let second = class("b", 3, true);
        assert_eq!(check_class(&second, None, &classes).unwrap_err().code, 403);
        assert!(check_class(&classes[0], Some(&classes[0]), &classes).is_ok());
        assert!(check_class(&class("b", 3, false), None, &classes).is_ok());
        assert_eq!(
            check_deletion("system-node-critical").unwrap_err().code,
            403
        );
        assert!(check_deletion("a").is_ok());
    }
}
