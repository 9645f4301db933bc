//! Labels, annotations and label selectors.

use serde_json::Value;

use super::{json, names};
use crate::field::{Path, Problem, Problems};

/// A map of labels (also a Service's selector): keys and values.
pub fn labels(map: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (key, value) in json::pairs(map, "") {
        problems.extend(label_name(key, path));
        problems.extend(invalid(path, value, names::label_value(value)));
    }
    problems
}

/// A label's key.
pub fn label_name(key: &str, path: &Path) -> Problems {
    invalid(path, key, names::qualified_name(key))
}

/// All annotations together may not have more bytes than this.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// A map of annotations: keys, of either case, and the size of all.
pub fn annotations(map: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let mut size = 0;
    for (key, value) in json::pairs(map, "") {
        size += key.len() + value.len();
        let found = names::qualified_name(&key.to_lowercase());
        problems.extend(invalid(path, key, found));
    }
    if size > ANNOTATIONS_LIMIT {
        problems.push(Problem::too_long(path.clone(), ANNOTATIONS_LIMIT));
    }
    problems
}

/// A `LabelSelector`; null is fine.
pub fn selector(selector: &Value, path: &Path) -> Problems {
    let matched = selector.get("matchLabels").unwrap_or(&Value::Null);
    let mut problems = labels(matched, &path.child("matchLabels"));
    let expressions = path.child("matchExpressions");
    for (i, expression) in json::list(selector, "/matchExpressions").iter().enumerate() {
        problems.extend(requirement(expression, &expressions.index(i)));
    }
    problems
}

fn requirement(expression: &Value, path: &Path) -> Problems {
    let operator = json::text(expression, "/operator");
    let values = json::texts(expression, "/values");
    let at_values = path.child("values");
    let mut problems = Problems::new();
    match operator {
        "In" | "NotIn" if values.is_empty() => problems.push(Problem::required(
            at_values.clone(),
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => problems.push(Problem::forbidden(
            at_values.clone(),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => problems.push(Problem::invalid(
            path.child("operator"),
            other,
            "not a valid selector operator",
        )),
    }
    problems.extend(label_name(
        json::text(expression, "/key"),
        &path.child("key"),
    ));
    for (i, value) in values.into_iter().enumerate() {
        problems.extend(invalid(
            &at_values.index(i),
            value,
            names::label_value(value),
        ));
    }
    problems
}

/// One `Invalid` problem for each complaint about a value.
pub fn invalid(path: &Path, value: &str, complaints: Vec<String>) -> Problems {
    let problem = |text| Problem::invalid(path.clone(), value, text);
    complaints.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(problems: &Problems) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_and_values_are_reported_at_the_map() {
        let found = labels(
            &json!({"-a": "b c", "ok": ""}),
            &Path::new("metadata.labels"),
        );
        assert_eq!(found.len(), 2);
        assert!(texts(&found)[0].starts_with("metadata.labels: Invalid value: \"-a\": name part"));
        assert!(texts(&found)[1].starts_with("metadata.labels: Invalid value: \"b c\": a valid"));
    }

    #[test]
    fn annotations_may_have_capitals_but_not_a_quarter_megabyte() {
        let path = Path::new("metadata.annotations");
        assert!(annotations(&json!({"Example.COM/Key": "any text"}), &path).is_empty());
        let big = json!({"k": "x".repeat(ANNOTATIONS_LIMIT)});
        assert_eq!(
            texts(&annotations(&big, &path)),
            ["metadata.annotations: Too long: may not be more than 262144 bytes"]
        );
    }

    #[test]
    fn a_selector_needs_known_operators_and_their_values() {
        let path = Path::new("spec.selector");
        let bad = json!({"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "a", "operator": "In"},
            {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "a", "operator": "Like"},
            {"key": "a b", "operator": "NotIn", "values": ["x y"]},
        ]});
        let found = selector(&bad, &path);
        let fields: Vec<String> = found.iter().map(|p| p.field.to_string()).collect();
        assert_eq!(
            fields,
            [
                "spec.selector.matchExpressions[0].values",
                "spec.selector.matchExpressions[1].values",
                "spec.selector.matchExpressions[2].operator",
                "spec.selector.matchExpressions[3].key",
                "spec.selector.matchExpressions[3].values[0]",
            ]
        );
        assert!(selector(&Value::Null, &path).is_empty());
    }
}
