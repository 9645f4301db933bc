//! PodDisruptionBudget: what its objects mean (`registry/policy/poddisruptionbudget`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::age;
use crate::field::{Path, Problem, Problems};
use crate::printer::{NAME, column, number};
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::conditions::conditions;
use crate::validation::json::{present, text};
use crate::validation::{int_or_percent, labels, metadata, names};
use crate::workload;

/// The strategy of `policy/v1/PodDisruptionBudget`.
pub struct DisruptionBudget;

const COLUMNS: &[Column] = &[
    NAME,
    column("Min Available", "string"),
    column("Max Unavailable", "string"),
    column("Allowed Disruptions", "integer"),
    column("Age", "string"),
];

impl Strategy for DisruptionBudget {
    fn rules(&self) -> Rules {
        Rules {
            unconditional_update: false,
            ..Rules::default()
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        workload::set_generation(object, 1);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(spec(object));
        problems
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        if part == Part::Sub("status") {
            new["spec"] = old["spec"].clone();
            return;
        }
        new["status"] = old["status"].clone();
        if new["spec"] != old["spec"] {
            workload::next_generation(new, old);
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        if part == Part::Sub("status") {
            let at = Path::new("status.conditions");
            problems.extend(conditions(&new["status"]["conditions"], &at));
            problems.extend(workload::not_negative(new, &COUNTERS));
        } else {
            problems.extend(spec(new));
        }
        problems
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let shown = |field: &str| match &object["spec"][field] {
            Value::Null => "N/A".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        vec![
            object["metadata"]["name"].clone(),
            shown("minAvailable").into(),
            shown("maxUnavailable").into(),
            number(&object["status"]["disruptionsAllowed"]).into(),
            age::of(object, now),
        ]
    }
}

const COUNTERS: [&str; 4] = [
    "/status/disruptionsAllowed",
    "/status/currentHealthy",
    "/status/desiredHealthy",
    "/status/expectedPods",
];

fn spec(object: &Value) -> Problems {
    let (at, spec) = (Path::new("spec"), &object["spec"]);
    let mut problems = Problems::new();
    if present(spec, "/minAvailable") && present(spec, "/maxUnavailable") {
        let words = "minAvailable and maxUnavailable cannot be both set";
        problems.push(Problem::invalid_as(at.clone(), as_in_go(spec), words));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        if !spec[field].is_null() {
            problems.extend(int_or_percent::problems(&spec[field], &at.child(field)));
        }
    }
    if present(spec, "/selector") {
        problems.extend(labels::selector(&spec["selector"], &at.child("selector")));
    }
    let policy = text(spec, "/unhealthyPodEvictionPolicy");
    let known = ["AlwaysAllow", "IfHealthyBudget"];
    if !policy.is_empty() && !known.contains(&policy) {
        let at = at.child("unhealthyPodEvictionPolicy");
        problems.push(Problem::not_supported(at, policy, &known));
    }
    problems
}

/// The spec as upstream shows it: by the Go names of its internal type, in their order.
fn as_in_go(spec: &Value) -> String {
    let fields = [
        "minAvailable",
        "selector",
        "maxUnavailable",
        "unhealthyPodEvictionPolicy",
    ];
    let shown = fields.map(|field| {
        let (first, rest) = field.split_at(1);
        format!("\"{}{rest}\":{}", first.to_uppercase(), spec[field])
    });
    format!("{{{}}}", shown.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(spec: &Value) -> Value {
        json!({"metadata": {"name": "b", "namespace": "default"}, "spec": spec})
    }

    #[test]
    fn one_bound_is_said_as_number_or_share() {
        let cases = [
            (
                json!({"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}),
                0,
            ),
            (json!({"maxUnavailable": 1}), 0),
            (json!({"minAvailable": 1, "maxUnavailable": 1}), 1),
            (json!({"minAvailable": -1}), 1),
            (json!({"minAvailable": "200%"}), 1),
            (json!({"unhealthyPodEvictionPolicy": "x"}), 1),
        ];
        for (spec, count) in cases {
            assert_eq!(
                DisruptionBudget.validate_create(&budget(&spec)).len(),
                count
            );
        }
    }

    #[test]
    fn a_row_shows_the_bounds() {
        let mut object = budget(&json!({"minAvailable": "50%"}));
        object["status"] = json!({"disruptionsAllowed": 2});
        let cells = DisruptionBudget.cells(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(cells[1..4], [json!("50%"), json!("N/A"), json!(2)]);
    }
}
