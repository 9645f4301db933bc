//! What a Deployment may say (`apis/apps/validation`).

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::schema::internal;
use crate::validation::json::{integer, present, text};
use crate::validation::{check, labels, names};
use crate::workload;

/// Problems of `spec`.
pub(super) fn spec(object: &Value) -> Problems {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let mut problems = check::not_negative(spec, "replicas", &path);
    problems.extend(workload::selector_and_template(object));
    problems.extend(strategy(&spec["strategy"], &path.child("strategy")));
    problems.extend(check::not_negative(spec, "minReadySeconds", &path));
    problems.extend(check::not_negative(spec, "revisionHistoryLimit", &path));
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        problems.extend(check::not_negative(spec, "progressDeadlineSeconds", &path));
        if deadline <= integer(spec, "/minReadySeconds") {
            let at = path.child("progressDeadlineSeconds");
            problems.push(Problem::invalid(
                at,
                deadline,
                "must be greater than minReadySeconds",
            ));
        }
    }
    problems
}

fn strategy(strategy: &Value, path: &Path) -> Problems {
    let at = path.child("rollingUpdate");
    match text(strategy, "/type") {
        "Recreate" if present(strategy, "/rollingUpdate") => {
            let words = "may not be specified when strategy `type` is 'Recreate'";
            vec![Problem::forbidden(at, words)]
        }
        "Recreate" => Problems::new(),
        "RollingUpdate" => rolling_update(&strategy["rollingUpdate"], &at),
        _ => {
            let shown = internal::line("DeploymentStrategy", strategy);
            let known = ["Recreate", "RollingUpdate"];
            let problem = Problem::not_supported(path.clone(), "", &known);
            vec![Problem {
                value: shown,
                ..problem
            }]
        }
    }
}

fn rolling_update(update: &Value, path: &Path) -> Problems {
    let mut problems = amount(&update["maxUnavailable"], &path.child("maxUnavailable"));
    problems.extend(amount(&update["maxSurge"], &path.child("maxSurge")));
    let (down, at) = (&update["maxUnavailable"], path.child("maxUnavailable"));
    if number(down) == 0 && number(&update["maxSurge"]) == 0 {
        let words = "may not be 0 when `maxSurge` is 0";
        problems.push(Problem::invalid(at.clone(), down.clone(), words));
    }
    if percent(down).is_some_and(|percent| percent > 100) {
        problems.push(Problem::invalid(
            at,
            down.clone(),
            "must not be greater than 100%",
        ));
    }
    problems
}

/// A number of pods, or a percentage of them.
fn amount(value: &Value, at: &Path) -> Problems {
    match value {
        Value::String(text) => labels::invalid(at, text, names::percent(text)),
        number if number.as_i64().is_some_and(|number| number < 0) => {
            vec![Problem::invalid(
                at.clone(),
                number.clone(),
                check::NEGATIVE,
            )]
        }
        _ => Problems::new(),
    }
}

fn percent(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    let digits = text
        .strip_suffix('%')
        .filter(|_| names::percent(text).is_empty())?;
    Some(digits.parse().unwrap_or(i64::MAX))
}

/// As Go reads it: what is no number is zero.
fn number(value: &Value) -> i64 {
    let plain = || value.as_str().and_then(|text| text.parse().ok());
    value
        .as_i64()
        .or_else(|| percent(value))
        .or_else(plain)
        .unwrap_or(0)
}

/// Problems of `status`.
pub(super) fn status(new: &Value, old: &Value) -> Problems {
    let members = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    let mut problems = workload::counts(new, &members, &members[2..5]);
    let count = |object: &Value| object["status"]["collisionCount"].as_i64();
    if count(old).is_some_and(|before| count(new).is_none_or(|now| now < before)) {
        let (at, now) = (Path::new("status.collisionCount"), count(new).unwrap_or(0));
        problems.push(Problem::invalid(at, now, "cannot be decremented"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(problems: &Problems) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn strategies_are_data() {
        let cases: [(Value, &[&str]); 5] = [
            (json!({"type": "Recreate"}), &[]),
            (
                json!({"type": "Recreate", "rollingUpdate": {}}),
                &[
                    "s.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
                ],
            ),
            (
                json!({"type": "Other"}),
                &[
                    "s: Unsupported value: {\"Type\":\"Other\",\"RollingUpdate\":null}: supported values: \
                   \"Recreate\", \"RollingUpdate\"",
                ],
            ),
            (
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}),
                &[
                    "s.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
                ],
            ),
            (
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "101%", "maxSurge": -1}}),
                &[
                    "s.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
                    "s.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
                ],
            ),
        ];
        for (value, wanted) in cases {
            assert_eq!(told(&strategy(&value, &Path::new("s"))), wanted, "{value}");
        }
    }

    #[test]
    fn collisions_only_grow() {
        let of = |count: i64| json!({"status": {"collisionCount": count}});
        assert!(status(&of(2), &of(1)).is_empty());
        let found = told(&status(&of(1), &of(2)));
        assert_eq!(
            found,
            ["status.collisionCount: Invalid value: 1: cannot be decremented"]
        );
    }
}
