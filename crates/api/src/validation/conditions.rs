//! The standard `conditions` list of a status.

use serde_json::Value;

use super::{json, labels, names};
use crate::field::{Path, Problem, Problems};

const REASON: &str = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";

/// A list of `metav1.Condition`: types unique, each member complete.
pub fn conditions(list: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let mut seen: Vec<&str> = Vec::new();
    for (i, condition) in json::list(list, "").iter().enumerate() {
        let at = path.index(i);
        let kind = json::text(condition, "/type");
        if seen.contains(&kind) {
            problems.push(Problem::duplicate(at.child("type"), kind));
        }
        seen.push(kind);
        problems.extend(one(condition, &at));
    }
    problems
}

fn one(condition: &Value, path: &Path) -> Problems {
    let mut problems = labels::label_name(json::text(condition, "/type"), &path.child("type"));
    let statuses = ["False", "True", "Unknown"];
    let status = json::text(condition, "/status");
    if !statuses.contains(&status) {
        let at = path.child("status");
        problems.push(Problem::not_supported(at, status, &statuses));
    }
    let generation = json::integer(condition, "/observedGeneration");
    if generation < 0 {
        problems.push(Problem::invalid(
            path.child("observedGeneration"),
            generation,
            "must be greater than or equal to zero",
        ));
    }
    if json::text(condition, "/lastTransitionTime").is_empty() {
        let at = path.child("lastTransitionTime");
        problems.push(Problem::required(at, ""));
    }
    problems.extend(reason(
        json::text(condition, "/reason"),
        &path.child("reason"),
    ));
    if json::text(condition, "/message").len() > 32 * 1024 {
        problems.push(Problem::too_long(path.child("message"), 32 * 1024));
    }
    problems
}

fn reason(value: &str, path: &Path) -> Problems {
    if value.is_empty() {
        return vec![Problem::required(path.clone(), "")];
    }
    let mut problems = Problems::new();
    if !is_reason(value) {
        let words = "a condition reason must start with alphabetic character, optionally followed by a \
                     string of alphanumeric characters or '_,:', and must end with an alphanumeric \
                     character or '_'";
        let examples = [
            "my_name",
            "MY_NAME",
            "MyName",
            "ReasonA,ReasonB",
            "ReasonA:ReasonB",
        ];
        let text = names::regex_error(words, REASON, &examples);
        problems.push(Problem::invalid(path.clone(), value, text));
    }
    if value.len() > 1024 {
        problems.push(Problem::too_long(path.clone(), 1024));
    }
    problems
}

fn is_reason(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"_,:".contains(&b);
    value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.bytes().all(inner)
        && !value.ends_with([',', ':'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_is_complete_and_its_type_unique() {
        let path = Path::new("status.conditions");
        let good = json!({"type": "Ready", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2020-01-01T00:00:00Z"});
        assert!(conditions(&json!([good]), &path).is_empty());
        let found = conditions(&json!([good, good]), &path);
        assert_eq!(
            found[0].to_string(),
            "status.conditions[1].type: Duplicate value: \"Ready\""
        );
        let bad = json!([{"type": "Ready", "status": "Maybe", "reason": "1"}]);
        let found = conditions(&bad, &path);
        let fields: Vec<String> = found.iter().map(|p| p.field.to_string()).collect();
        assert_eq!(
            fields,
            [
                "status.conditions[0].status",
                "status.conditions[0].lastTransitionTime",
                "status.conditions[0].reason"
            ]
        );
    }
}
