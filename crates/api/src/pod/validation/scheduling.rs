//! Where a pod may run: affinity, tolerations, spreading, gates.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::validation::json::{integer, list, pairs, present, text, texts};
use crate::validation::{check, labels, names};

const HARD: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const SOFT: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `affinity`.
pub(super) fn affinity(spec: &Value, path: &Path) -> Problems {
    let mut problems = node_affinity(
        &spec["affinity"]["nodeAffinity"],
        &path.child("nodeAffinity"),
    );
    for member in ["podAffinity", "podAntiAffinity"] {
        let (terms, at) = (&spec["affinity"][member], path.child(member));
        for (i, term) in list(terms, &format!("/{HARD}")).iter().enumerate() {
            problems.extend(pod_term(term, &at.child(HARD).index(i)));
        }
        for (i, term) in list(terms, &format!("/{SOFT}")).iter().enumerate() {
            let at = at.child(SOFT).index(i);
            problems.extend(weight(term, &at));
            problems.extend(pod_term(
                &term["podAffinityTerm"],
                &at.child("podAffinityTerm"),
            ));
        }
    }
    problems
}

fn node_affinity(affinity: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    if present(affinity, &format!("/{HARD}")) {
        problems.extend(node_selector(&affinity[HARD], &path.child(HARD)));
    }
    for (i, term) in list(affinity, &format!("/{SOFT}")).iter().enumerate() {
        let at = path.child(SOFT).index(i);
        problems.extend(weight(term, &at));
        problems.extend(node_term(
            &term["preference"],
            false,
            &at.child("preference"),
        ));
    }
    problems
}

fn weight(term: &Value, path: &Path) -> Problems {
    match integer(term, "/weight") {
        1..=100 => Problems::new(),
        weight => {
            let words = "must be in the range 1-100";
            vec![Problem::invalid(path.child("weight"), weight, words)]
        }
    }
}

/// A selector of nodes: terms, of which one has to hold.
fn node_selector(selector: &Value, path: &Path) -> Problems {
    let at = path.child("nodeSelectorTerms");
    let terms = list(selector, "/nodeSelectorTerms");
    if terms.is_empty() {
        let words = "must have at least one node selector term";
        return vec![Problem::required(at, words)];
    }
    let each = terms.iter().enumerate();
    each.flat_map(|(i, term)| node_term(term, true, &at.index(i)))
        .collect()
}

fn node_term(term: &Value, check_values: bool, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (i, rule) in list(term, "/matchExpressions").iter().enumerate() {
        problems.extend(node_rule(
            rule,
            check_values,
            &path.child("matchExpressions").index(i),
        ));
    }
    for (i, rule) in list(term, "/matchFields").iter().enumerate() {
        problems.extend(node_field(rule, &path.child("matchFields").index(i)));
    }
    problems
}

fn node_rule(rule: &Value, check_values: bool, path: &Path) -> Problems {
    let (at, values) = (path.child("values"), texts(rule, "/values"));
    let mut problems = Problems::new();
    match text(rule, "/operator") {
        "In" | "NotIn" if values.is_empty() => {
            let words = "must be specified when `operator` is 'In' or 'NotIn'";
            problems.push(Problem::required(at.clone(), words));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            problems.push(Problem::forbidden(at.clone(), words));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let words = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            problems.push(Problem::required(at.clone(), words));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => problems.push(no_operator(other, path)),
    }
    problems.extend(labels::label_name(text(rule, "/key"), &path.child("key")));
    if check_values {
        for (i, value) in values.into_iter().enumerate() {
            problems.extend(labels::invalid(
                &at.index(i),
                value,
                names::label_value(value),
            ));
        }
    }
    problems
}

fn no_operator(operator: &str, path: &Path) -> Problem {
    Problem::invalid(
        path.child("operator"),
        operator,
        "not a valid selector operator",
    )
}

fn node_field(rule: &Value, path: &Path) -> Problems {
    let values = texts(rule, "/values");
    let mut problems = Problems::new();
    match text(rule, "/operator") {
        "In" | "NotIn" if values.len() != 1 => {
            let words =
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            problems.push(Problem::required(path.child("values"), words));
        }
        "In" | "NotIn" => {}
        other => problems.push(no_operator(other, path)),
    }
    match text(rule, "/key") {
        "metadata.name" => {
            for (i, value) in values.into_iter().enumerate() {
                problems.extend(check::dns_subdomain(value, &path.child("values").index(i)));
            }
        }
        key => {
            let words = "not a valid field selector key";
            problems.push(Problem::invalid(path.child("key"), key, words));
        }
    }
    problems
}

fn pod_term(term: &Value, path: &Path) -> Problems {
    let mut problems = labels::selector(&term["labelSelector"], &path.child("labelSelector"));
    let at = path.child("namespaceSelector");
    problems.extend(labels::selector(&term["namespaceSelector"], &at));
    for namespace in texts(term, "/namespaces") {
        problems.extend(check::dns_label(namespace, &path.child("namespace")));
    }
    problems.extend(label_keys(term, path));
    let (at, key) = (path.child("topologyKey"), text(term, "/topologyKey"));
    if key.is_empty() {
        problems.push(Problem::required(at.clone(), "can not be empty"));
    }
    problems.extend(labels::label_name(key, &at));
    problems
}

/// `matchLabelKeys` and `mismatchLabelKeys`. The former are part of the selector already.
fn label_keys(term: &Value, path: &Path) -> Problems {
    const NOWHERE: &str = "must not be specified when labelSelector is not set";
    let has_selector = term["labelSelector"].is_object();
    let mut problems = Problems::new();
    for member in ["matchLabelKeys", "mismatchLabelKeys"] {
        let (at, keys) = (path.child(member), texts(term, &format!("/{member}")));
        if !keys.is_empty() && !has_selector {
            problems.push(Problem::forbidden(at, NOWHERE));
            continue;
        }
        for (i, key) in keys.into_iter().enumerate() {
            problems.extend(labels::label_name(key, &at.index(i)));
        }
    }
    problems.extend(selected_twice(term, path));
    let (keys, others) = (
        texts(term, "/matchLabelKeys"),
        texts(term, "/mismatchLabelKeys"),
    );
    for (i, key) in keys
        .into_iter()
        .enumerate()
        .filter(|(_, key)| others.contains(key))
    {
        let words = "exists in both matchLabelKeys and mismatchLabelKeys";
        problems.push(Problem::invalid(
            path.child("matchLabelKeys").index(i),
            key,
            words,
        ));
    }
    problems
}

fn selected_twice(term: &Value, path: &Path) -> Problems {
    let keys = texts(term, "/matchLabelKeys");
    let mut seen: Vec<&str> = pairs(term, "/labelSelector/matchLabels")
        .iter()
        .map(|(key, _)| *key)
        .collect();
    let mut problems = Problems::new();
    for rule in list(term, "/labelSelector/matchExpressions") {
        let key = text(rule, "/key");
        let place = keys.iter().rposition(|other| *other == key);
        if let Some(i) = place.filter(|_| seen.contains(&key)) {
            let words = "exists in both matchLabelKeys and labelSelector";
            problems.push(Problem::invalid(path.index(i), key, words));
        }
        seen.push(key);
    }
    problems
}

/// What taints do.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The effect of a taint.
pub(crate) fn taint_effect(effect: &str, at: Path) -> Problems {
    check::one_of(effect, at, &EFFECTS)
}

/// `tolerations`.
pub(super) fn tolerations(tolerations: &[Value], path: &Path) -> Problems {
    let each = tolerations.iter().enumerate();
    each.flat_map(|(i, one)| toleration(one, &path.index(i)))
        .collect()
}

fn toleration(toleration: &Value, path: &Path) -> Problems {
    let read = |member: &str| text(toleration, member);
    let (key, operator, value) = (read("/key"), read("/operator"), read("/value"));
    let mut problems = Problems::new();
    if !key.is_empty() {
        problems.extend(labels::label_name(key, &path.child("key")));
    } else if operator != "Exists" {
        let words = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        problems.push(Problem::invalid(path.child("operator"), operator, words));
    }
    let effect = read("/effect");
    if present(toleration, "/tolerationSeconds") && effect != "NoExecute" {
        let words = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        problems.push(Problem::invalid(path.child("effect"), effect, words));
    }
    problems.extend(toleration_operator(operator, value, path.child("operator")));
    if !effect.is_empty() {
        problems.extend(taint_effect(effect, path.child("effect")));
    }
    problems
}

fn toleration_operator(operator: &str, value: &str, at: Path) -> Problems {
    match operator {
        "Equal" | "" => {
            let wrong = names::label_value(value);
            let problem = (!wrong.is_empty()).then(|| Problem::invalid(at, value, wrong.join(";")));
            problem.into_iter().collect()
        }
        "Exists" if !value.is_empty() => {
            let words = "value must be empty when `operator` is 'Exists'";
            vec![Problem::invalid(at, value, words)]
        }
        "Exists" => Problems::new(),
        "Lt" | "Gt" => vec![Problem::not_supported(
            at,
            operator,
            &["Equal", "Exists", "Lt", "Gt"],
        )],
        other => check::known(other, at, &["Equal", "Exists"]),
    }
}

/// `topologySpreadConstraints`.
pub(super) fn spread(spec: &Value, path: &Path) -> Problems {
    let all = list(spec, "/topologySpreadConstraints");
    let each = all.iter().enumerate();
    each.flat_map(|(i, one)| constraint(one, &all[i + 1..], &path.index(i)))
        .collect()
}

fn constraint(constraint: &Value, rest: &[Value], path: &Path) -> Problems {
    let (key, action) = (
        text(constraint, "/topologyKey"),
        text(constraint, "/whenUnsatisfiable"),
    );
    let mut problems = check::positive(integer(constraint, "/maxSkew"), &path.child("maxSkew"));
    if key.is_empty() {
        problems.push(Problem::required(
            path.child("topologyKey"),
            "can not be empty",
        ));
    }
    let at = path.child("whenUnsatisfiable");
    problems.extend(check::known(
        action,
        at,
        &["DoNotSchedule", "ScheduleAnyway"],
    ));
    let same = |other: &Value| other["topologyKey"] == key && other["whenUnsatisfiable"] == action;
    if rest.iter().any(same) {
        let at = path.child("{topologyKey, whenUnsatisfiable}");
        problems.push(Problem::duplicate(at, format!("{{{key}, {action}}}")));
    }
    problems.extend(min_domains(constraint, action, &path.child("minDomains")));
    for member in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
        problems.extend(check::known_if_set(
            constraint,
            member,
            path,
            &["Honor", "Ignore"],
        ));
    }
    problems.extend(label_keys(constraint, path));
    problems.extend(labels::selector(
        &constraint["labelSelector"],
        &path.child("labelSelector"),
    ));
    problems
}

fn min_domains(constraint: &Value, action: &str, at: &Path) -> Problems {
    let Some(count) = constraint["minDomains"].as_i64() else {
        return Problems::new();
    };
    let mut problems = check::positive(count, at);
    if action != "DoNotSchedule" {
        let words =
            format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        problems.push(Problem::invalid(at.clone(), count, words));
    }
    problems
}

/// `schedulingGates`.
pub(super) fn gates(spec: &Value, path: &Path) -> Problems {
    let all = list(spec, "/schedulingGates");
    let mut problems = Problems::new();
    for (i, gate) in all.iter().enumerate() {
        let name = text(gate, "/name");
        problems.extend(check::qualified_name(name, &path.index(i)));
        if all[..i].iter().any(|other| text(other, "/name") == name) {
            problems.push(Problem::duplicate(path.index(i), name));
        }
    }
    problems
}

/// `readinessGates`.
pub(super) fn readiness_gates(spec: &Value, path: &Path) -> Problems {
    let each = list(spec, "/readinessGates").iter().enumerate();
    each.flat_map(|(i, gate)| {
        let at = path.index(i).child("conditionType");
        check::qualified_name(text(gate, "/conditionType"), &at)
    })
    .collect()
}
