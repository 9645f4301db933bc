//! PriorityClass: what its objects mean (`registry/scheduling/priorityclass`).

use jiff::Timestamp;
use serde_json::Value;

use crate::age;
use crate::field::{Path, Problem, Problems};
use crate::printer::{NAME, column};
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{boolean, integer, set, text};
use crate::validation::{metadata, names};
use crate::workload;

/// The strategy of `scheduling.k8s.io/v1/PriorityClass`.
pub struct PriorityClass;

/// The policy of classes that name none.
pub const PREEMPT: &str = "PreemptLowerPriority";

/// A class that every cluster has, and that only the cluster may make.
pub struct SystemClass {
    /// Its name.
    pub name: &'static str,
    /// The priority of its pods.
    pub value: i64,
    /// What it is for.
    pub description: &'static str,
}

/// All of them.
pub const SYSTEM: [SystemClass; 2] = [
    SystemClass {
        name: "system-node-critical",
        value: 2_000_001_000,
        description: "Used for system critical pods that must not be moved from their current node.",
    },
    SystemClass {
        name: "system-cluster-critical",
        value: 2_000_000_000,
        description: "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    },
];

/// Names that begin like this are the cluster's own.
const SYSTEM_PREFIX: &str = "system-";

/// Users' classes are not above this.
const HIGHEST: i64 = 1_000_000_000;

const COLUMNS: &[Column] = &[
    NAME,
    column("Value", "integer"),
    column("Global-Default", "boolean"),
    column("Age", "string"),
    column("PreemptionPolicy", "string"),
];

impl Strategy for PriorityClass {
    fn set_defaults(&self, object: &mut Value) {
        if object["preemptionPolicy"].is_null() {
            set(object, "", "preemptionPolicy", PREEMPT);
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        workload::set_generation(object, 1);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, false, names::dns_subdomain_name);
        problems.extend(own_name_and_value(object));
        let (policy, known) = (text(object, "/preemptionPolicy"), [PREEMPT, "Never"]);
        let at = Path::new("preemptionPolicy");
        if policy.is_empty() {
            problems.push(Problem::required(at, ""));
        } else if !known.contains(&policy) {
            problems.push(Problem::not_supported(at, policy, &known));
        }
        problems
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        if integer(new, "/value") != integer(old, "/value") {
            let words = "may not be changed in an update.";
            problems.push(Problem::forbidden(Path::new("value"), words));
        }
        problems.extend(metadata::immutable(
            &new["preemptionPolicy"],
            &old["preemptionPolicy"],
            &Path::new("preemptionPolicy"),
        ));
        problems
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            text(object, "/metadata/name").into(),
            integer(object, "/value").into(),
            is_default(object).into(),
            age::of(object, now),
            text(object, "/preemptionPolicy").into(),
        ]
    }
}

/// Whether pods without a class get this one.
pub fn is_default(class: &Value) -> bool {
    boolean(class, "/globalDefault") == Some(true)
}

fn own_name_and_value(object: &Value) -> Problems {
    let name = text(object, "/metadata/name");
    if name.starts_with(SYSTEM_PREFIX) {
        let why = unlike_system(object, name);
        let words = |why| {
            format!(
                "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
            )
        };
        let problem = |why| Problem::forbidden(Path::new("metadata.name"), words(why));
        return why.map(problem).into_iter().collect();
    }
    if integer(object, "/value") <= HIGHEST {
        return Problems::new();
    }
    let words = format!("maximum allowed value of a user defined priority is {HIGHEST}");
    vec![Problem::forbidden(Path::new("value"), words)]
}

/// In what a class differs from the system class of its name.
fn unlike_system(class: &Value, name: &str) -> Option<String> {
    let Some(system) = SYSTEM.iter().find(|system| system.name == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if integer(class, "/value") != system.value {
        let value = system.value;
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    is_default(class).then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(name: &str, more: &Value) -> Vec<String> {
        let mut class = json!({"metadata": {"name": name}});
        for (member, value) in more.as_object().unwrap() {
            class[member] = value.clone();
        }
        PriorityClass.set_defaults(&mut class);
        let found = PriorityClass.validate_create(&class);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_and_values_of_the_system_are_its_own() {
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
        let node = "system-node-critical";
        let said = |why: &str| vec![format!("{reserved}{why}")];
        assert!(problems("a", &json!({"value": HIGHEST})).is_empty());
        assert!(problems(node, &json!({"value": 2_000_001_000})).is_empty());
        assert_eq!(
            problems("a", &json!({"value": HIGHEST + 1})),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
        );
        assert_eq!(
            problems(node, &json!({"value": 5})),
            said("value of system-node-critical PriorityClass must be 2000001000")
        );
        assert_eq!(
            problems(
                node,
                &json!({"value": 2_000_001_000, "globalDefault": true})
            ),
            said("globalDefault of system-node-critical PriorityClass must be false")
        );
        let policy = json!({"preemptionPolicy": ""});
        assert_eq!(problems("a", &policy), ["preemptionPolicy: Required value"]);
        assert_eq!(
            problems("system-x", &json!({})),
            said("system-x is not a known system priority class")
        );
    }

    #[test]
    fn value_and_policy_stay() {
        let old = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "value": 1, "preemptionPolicy": PREEMPT});
        let mut new = old.clone();
        new["globalDefault"] = true.into();
        assert!(
            PriorityClass
                .validate_update(Part::Main, &new, &old)
                .is_empty()
        );
        new["value"] = 2.into();
        new["preemptionPolicy"] = "Never".into();
        let found = PriorityClass.validate_update(Part::Main, &new, &old);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        let wanted = [
            "value: Forbidden: may not be changed in an update.",
            "preemptionPolicy: Invalid value: \"Never\": field is immutable",
        ];
        assert_eq!(texts, wanted);
    }
}
