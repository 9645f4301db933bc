//! Which labels a selector matches.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Labels as objects carry them.
pub(crate) type Labels = BTreeMap<String, String>;

/// Whether a selector of a workload matches; an empty one matches all.
pub(crate) fn matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let wanted = selector.match_labels.as_ref();
    let rules = selector.match_expressions.as_deref().unwrap_or_default();
    wanted.is_none_or(|wanted| contains(labels, wanted))
        && rules.iter().all(|rule| requirement(rule, labels))
}

/// Whether the labels contain all of a Service's selector.
pub(crate) fn contains(labels: Option<&Labels>, wanted: &Labels) -> bool {
    let has = |key: &str, value: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
            == Some(value)
    };
    wanted.iter().all(|(key, value)| has(key, value))
}

/// Whether a selector names nothing and so matches everything.
pub(crate) fn is_empty(selector: &LabelSelector) -> bool {
    selector
        .match_labels
        .as_ref()
        .is_none_or(BTreeMap::is_empty)
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(Vec::is_empty)
}

fn requirement(rule: &LabelSelectorRequirement, labels: Option<&Labels>) -> bool {
    let value = labels.and_then(|labels| labels.get(&rule.key));
    let listed = |value: &String| {
        rule.values
            .as_ref()
            .is_some_and(|values| values.contains(value))
    };
    match rule.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_read_like_the_api_documents_them() {
        let labels: Labels = [("app".to_owned(), "web".to_owned())].into();
        let cases = [
            ("app", "In", vec!["web", "api"], true),
            ("app", "In", vec!["api"], false),
            ("tier", "In", vec!["web"], false),
            ("app", "NotIn", vec!["web"], false),
            ("tier", "NotIn", vec!["web"], true),
            ("app", "Exists", vec![], true),
            ("tier", "Exists", vec![], false),
            ("tier", "DoesNotExist", vec![], true),
        ];
        for (key, operator, values, expected) in cases {
            let selector = LabelSelector {
                match_expressions: Some(vec![LabelSelectorRequirement {
                    key: key.to_owned(),
                    operator: operator.to_owned(),
                    values: Some(values.into_iter().map(ToOwned::to_owned).collect()),
                }]),
                match_labels: None,
            };
            assert_eq!(
                matches(&selector, Some(&labels)),
                expected,
                "{key} {operator}"
            );
        }
    }
}
