//! `matchLabelKeys`: the pod's own labels become part of its selectors (KEP-3633, KEP-3243).

use serde_json::{Value, json};

use crate::validation::json::{list_mut, texts};

/// Merges the keys into the selectors beside them.
pub(super) fn merge(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    for constraint in list_mut(pod, "/spec/topologySpreadConstraints") {
        add(constraint, "/matchLabelKeys", "In", &labels);
    }
    for affinity in ["podAffinity", "podAntiAffinity"] {
        let base = format!("/spec/affinity/{affinity}");
        let preferred = format!("{base}/preferredDuringSchedulingIgnoredDuringExecution");
        for weighted in list_mut(pod, &preferred) {
            if let Some(weighted) = weighted.get_mut("podAffinityTerm") {
                term(weighted, &labels);
            }
        }
        let required = format!("{base}/requiredDuringSchedulingIgnoredDuringExecution");
        for required in list_mut(pod, &required) {
            term(required, &labels);
        }
    }
}

fn term(term: &mut Value, labels: &Value) {
    add(term, "/matchLabelKeys", "In", labels);
    add(term, "/mismatchLabelKeys", "NotIn", labels);
}

/// A selector that is absent selects nothing, and stays so.
fn add(owner: &mut Value, keys: &str, operator: &str, labels: &Value) {
    let keys: Vec<String> = texts(owner, keys).into_iter().map(str::to_owned).collect();
    let Some(selector) = owner.get_mut("labelSelector").filter(|s| s.is_object()) else {
        return;
    };
    for key in keys {
        let Some(value) = labels[&key].as_str() else {
            continue;
        };
        let rule = json!({"key": key, "operator": operator, "values": [value]});
        match &mut selector["matchExpressions"] {
            Value::Array(rules) => rules.push(rule),
            empty => *empty = json!([rule]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn labels_of_the_pod_join_the_selector() {
        let mut pod = json!({
            "metadata": {"labels": {"hash": "x"}},
            "spec": {"topologySpreadConstraints": [
                {"labelSelector": {}, "matchLabelKeys": ["hash", "other"]},
                {"matchLabelKeys": ["hash"]},
            ]},
        });
        super::merge(&mut pod);
        let constraints = &pod["spec"]["topologySpreadConstraints"];
        let rule = json!([{"key": "hash", "operator": "In", "values": ["x"]}]);
        assert_eq!(constraints[0]["labelSelector"]["matchExpressions"], rule);
        assert!(constraints[1]["labelSelector"].is_null());
    }
}
