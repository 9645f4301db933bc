//! What kinds with a pod template have in common.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::pod::{defaults, gates, validation, warnings};
use crate::schema;
use crate::validation::json::{integer, list, pairs, present, set, text, texts};
use crate::validation::{check, labels, metadata, names};

/// The defaults of `spec.template`.
pub(crate) fn template_defaults(object: &mut Value) {
    if let Some(spec) = object.pointer_mut("/spec/template/spec") {
        defaults::spec(spec);
    }
}

/// Drops what is behind feature gates from the template.
pub(crate) fn drop_disabled(object: &mut Value, old: Option<&Value>) {
    gates::drop_from_template(object, old, "/spec/template");
}

/// Sets `metadata.generation`.
pub(crate) fn set_generation(object: &mut Value, generation: i64) {
    set(object, "/metadata", "generation", generation);
}

/// One more than the stored generation.
pub(crate) fn next_generation(object: &mut Value, old: &Value) {
    set_generation(object, integer(old, "/metadata/generation") + 1);
}

/// Problems of a new object: those of its metadata; those of its spec are the kind's.
pub(crate) fn validate_new(object: &Value) -> Problems {
    metadata::new_object(object, true, names::dns_subdomain_name)
}

/// What a client is warned about: a name that pods' hosts cannot have, and what the template says.
pub(crate) fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let generation = |object: &Value| integer(object, "/metadata/generation");
    if old.is_some_and(|old| generation(old) == generation(new)) {
        return Vec::new();
    }
    let name = match old {
        None => warnings::host_name(new, "Pod names and hostnames"),
        Some(_) => None,
    };
    let at = Path::new("spec.template");
    let template = warnings::warnings(&new["spec"]["template"], &at);
    name.into_iter().chain(template).collect()
}

/// `spec.selector` is there and says something, and the template fits it (`apps/validation`).
pub(crate) fn selector_and_template(object: &Value) -> Problems {
    let at = Path::new("spec.selector");
    let selector = &object["spec"]["selector"];
    let shown = || schema::go_json(SELECTOR, selector);
    let mut problems = Problems::new();
    if selector.is_null() {
        problems.push(Problem::required(at.clone(), ""));
    } else {
        problems.extend(labels::selector(selector, &at));
        let says_nothing = pairs(selector, "/matchLabels").is_empty()
            && list(selector, "/matchExpressions").is_empty();
        if says_nothing {
            let words = "empty selector is invalid for deployment";
            problems.push(Problem::invalid_as(at.clone(), shown(), words));
        }
    }
    if is_selector(selector) {
        problems.extend(template(object));
    } else {
        problems.push(Problem::invalid_as(at, shown(), "invalid label selector"));
    }
    problems
}

const SELECTOR: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector";

/// Whether a selector can be read at all (`LabelSelectorAsSelector`).
fn is_selector(selector: &Value) -> bool {
    labels::selector(selector, &Path::default()).is_empty()
}

fn template(object: &Value) -> Problems {
    let (selector, template) = (&object["spec"]["selector"], &object["spec"]["template"]);
    let path = Path::new("spec.template");
    let found = template.pointer("/metadata/labels").unwrap_or(&Value::Null);
    let mut problems = Problems::new();
    // No selector selects nothing, an empty one everything.
    if selector.is_null() || !selects(selector, found) {
        let at = path.child("metadata").child("labels");
        let words = "`selector` does not match template `labels`";
        problems.push(Problem::invalid(at, found.clone(), words));
    }
    problems.extend(validation::template(template, &path));
    let policy = text(template, "/spec/restartPolicy");
    let at = path.child("spec");
    if policy != "Always" {
        let at = at.child("restartPolicy");
        problems.push(Problem::not_supported(at, policy, &["Always"]));
    }
    if present(template, "/spec/activeDeadlineSeconds") {
        let words = "activeDeadlineSeconds in ReplicaSet is not Supported";
        problems.push(Problem::forbidden(at.child("activeDeadlineSeconds"), words));
    }
    problems
}

/// Numbers that may not be negative, by their place below the object (`/spec/replicas`).
pub(crate) fn not_negative(object: &Value, places: &[&str]) -> Problems {
    let negative = |place: &&&str| integer(object, place) < 0;
    let problem = |place: &&str| {
        let at = Path::new(place.trim_start_matches('/').replace('/', "."));
        let words = "must be greater than or equal to 0";
        Problem::invalid(at, integer(object, place), words)
    };
    places.iter().filter(negative).map(problem).collect()
}

/// `spec.selector` may never change: what it selects is what the object owns.
pub(crate) fn selector_is_kept(new: &Value, old: &Value) -> Problems {
    let (new, old) = (&new["spec"]["selector"], &old["spec"]["selector"]);
    if new == old {
        return Problems::new();
    }
    let shown = schema::go_json(SELECTOR, new);
    vec![Problem::invalid_as(
        Path::new("spec.selector"),
        shown,
        "field is immutable",
    )]
}

/// Counts of a status: none below zero, none above the number of all.
pub(crate) fn counts(object: &Value, members: &[&str], parts: &[&str]) -> Problems {
    let (status, path) = (&object["status"], Path::new("status"));
    let count = |member: &str| integer(status, &format!("/{member}"));
    let checks = members
        .iter()
        .map(|member| check::not_negative(status, member, &path));
    let mut problems: Problems = checks.flatten().collect();
    let mut say = |member: &str, words: &str| {
        problems.push(Problem::invalid(path.child(member), count(member), words));
    };
    for part in parts.iter().filter(|part| count(part) > count("replicas")) {
        say(part, "cannot be greater than status.replicas");
    }
    if count("availableReplicas") > count("readyReplicas") {
        say("availableReplicas", "cannot be greater than readyReplicas");
    }
    problems
}

/// Whether a label selector selects what has these labels.
pub fn selects(selector: &Value, labels: &Value) -> bool {
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

    use super::*;

    fn object(selector: &Value) -> Value {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        defaults::spec(&mut spec);
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": spec});
        json!({"spec": {"selector": selector, "template": template}})
    }

    #[test]
    fn a_selector_selects_the_pods_of_the_template() {
        let cases = [
            (
                json!(null),
                vec![
                    "spec.selector: Required value",
                    "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match \
                     template `labels`",
                ],
            ),
            (
                json!({}),
                vec!["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
            ),
            (
                json!({"matchLabels": {"app": "y"}}),
                vec![
                    "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match \
                     template `labels`",
                ],
            ),
            (
                json!({"matchExpressions": [{"key": "app", "operator": "Like"}]}),
                vec![
                    "spec.selector.matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator",
                    "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Like\"}]}: \
                     invalid label selector",
                ],
            ),
        ];
        for (wrong, texts) in cases {
            let problems = selector_and_template(&object(&wrong));
            let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(found, texts);
        }
        let right =
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]});
        assert!(selector_and_template(&object(&right)).is_empty());
        let changed = selector_is_kept(
            &object(&right),
            &object(&json!({"matchLabels": {"app": "x"}})),
        );
        assert_eq!(changed.len(), 1);
    }

    #[test]
    fn a_part_is_not_more_than_the_whole() {
        let status = json!({"replicas": 1, "readyReplicas": 2, "availableReplicas": -1});
        let members = ["replicas", "readyReplicas", "availableReplicas"];
        let found = counts(&json!({ "status": status }), &members, &members[1..]);
        let fields: Vec<String> = found
            .iter()
            .map(|problem| problem.field.to_string())
            .collect();
        assert_eq!(fields, ["status.availableReplicas", "status.readyReplicas"]);
    }
}
