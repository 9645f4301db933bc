//! What kinds with a pod template have in common.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::pod::defaults;
use crate::validation::json::{integer, list, pairs, set, text, texts};
use crate::validation::{labels, metadata, names};

/// The defaults of `spec.template`.
pub(crate) fn template_defaults(object: &mut Value) {
    if let Some(spec) = object.pointer_mut("/spec/template/spec") {
        defaults::spec(spec);
    }
}

/// Sets `metadata.generation`.
pub(crate) fn set_generation(object: &mut Value, generation: i64) {
    set(object, "/metadata", "generation", generation);
}

/// One more than the stored generation.
pub(crate) fn next_generation(object: &mut Value, old: &Value) {
    set_generation(object, integer(old, "/metadata/generation") + 1);
}

/// Problems of a new object: those of its metadata, then those of its selector.
pub(crate) fn validate_new(object: &Value) -> Problems {
    let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
    problems.extend(selector(object));
    problems
}

/// `spec.selector` is there, says something, and selects the pods of the template (`apps/validation`).
pub(crate) fn selector(object: &Value) -> Problems {
    let at = Path::new("spec.selector");
    let selector = &object["spec"]["selector"];
    if selector.is_null() {
        return vec![Problem::required(at, "")];
    }
    let mut problems = labels::selector(selector, &at);
    let says_nothing = pairs(selector, "/matchLabels").is_empty()
        && list(selector, "/matchExpressions").is_empty();
    if says_nothing {
        let words = "empty selector is invalid for deployment";
        problems.push(Problem::invalid(at, selector.clone(), words));
    }
    let found = object.pointer("/spec/template/metadata/labels");
    let found = found.unwrap_or(&Value::Null);
    if problems.is_empty() && !selects(selector, found) {
        let at = Path::new("spec.template.metadata.labels");
        let words = "`selector` does not match template `labels`";
        problems.push(Problem::invalid(at, found.clone(), words));
    }
    problems
}

/// `spec.selector` may never change: what it selects is what the object owns.
pub(crate) fn selector_is_kept(new: &Value, old: &Value) -> Problems {
    let (new, old) = (&new["spec"]["selector"], &old["spec"]["selector"]);
    metadata::immutable(new, old, &Path::new("spec.selector"))
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let has = |(key, value): (&str, &str)| labels[key] == value;
    let meets = |rule: &Value| {
        let value = labels[text(rule, "/key")].as_str();
        let listed = value.is_some_and(|value| texts(rule, "/values").contains(&value));
        match text(rule, "/operator") {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    };
    pairs(selector, "/matchLabels").into_iter().all(has)
        && list(selector, "/matchExpressions").iter().all(meets)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{selector, selector_is_kept};

    fn object(selector: &Value) -> Value {
        let template = json!({"metadata": {"labels": {"app": "x"}}});
        json!({"spec": {"selector": selector, "template": template}})
    }

    #[test]
    fn a_selector_selects_the_pods_of_the_template() {
        let cases = [
            (json!(null), "spec.selector: Required value"),
            (
                json!({}),
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ),
            (
                json!({"matchLabels": {"app": "y"}}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match \
                 template `labels`",
            ),
        ];
        for (wrong, text) in cases {
            let problems = selector(&object(&wrong));
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].to_string(), text);
        }
        let right =
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]});
        assert!(selector(&object(&right)).is_empty());
        let changed = selector_is_kept(
            &object(&right),
            &object(&json!({"matchLabels": {"app": "x"}})),
        );
        assert_eq!(changed.len(), 1);
    }
}
