//! Node affinity: which nodes a pod must have, and which it would like.

use k8s_openapi::api::core::v1::{
    Node, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, Pod,
};

/// Whether the node is one that the pod's affinity requires.
pub(super) fn required(pod: &Pod, node: &Node) -> bool {
    let affinity = of(pod);
    let selector = affinity.and_then(|affinity| {
        affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    selector.is_none_or(|selector| {
        selector
            .node_selector_terms
            .iter()
            .any(|term| matches(term, node))
    })
}

/// The weights of all preferences that the node meets.
pub(super) fn preference(pod: &Pod, node: &Node) -> i64 {
    let affinity = of(pod);
    let terms = affinity.and_then(|affinity| {
        affinity
            .preferred_during_scheduling_ignored_during_execution
            .as_deref()
    });
    let met = terms
        .unwrap_or_default()
        .iter()
        .filter(|term| matches(&term.preference, node));
    met.map(|term| i64::from(term.weight)).sum()
}

fn of(pod: &Pod) -> Option<&NodeAffinity> {
    pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()
}

/// A term without requirements matches no node.
fn matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let label = |rule: &NodeSelectorRequirement| {
        let value = node
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(&rule.key));
        holds(rule, value.map(String::as_str))
    };
    let field = |rule: &NodeSelectorRequirement| {
        rule.key == "metadata.name" && holds(rule, node.metadata.name.as_deref())
    };
    !(labels.is_empty() && fields.is_empty())
        && labels.iter().all(label)
        && fields.iter().all(field)
}

fn holds(rule: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = rule.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|one| one == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let pair = number(value).zip(number(values.first().map(String::as_str)));
    match rule.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => pair.is_some_and(|(value, bound)| value > bound),
        "Lt" => pair.is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
