//! A ResourceQuota's rules, warnings and row, as data.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ResourceQuota;
use crate::resource::{Part, Strategy};

fn quota(spec: &Value) -> Value {
    json!({"metadata": {"name": "q", "namespace": "default", "resourceVersion": "1"}, "spec": spec})
}

#[test]
fn names_amounts_and_scopes_are_checked() {
    let cases = [
        (
            json!({"hard": {"pods": "3", "count/deployments.apps": "2", "requests.nvidia.com/gpu": "1"}}),
            vec![],
        ),
        (
            json!({"hard": {"foo": "1"}}),
            vec![
                "spec.hard[foo]: Invalid value: \"foo\": must be a standard resource type or fully qualified",
                "spec.hard[foo]: Invalid value: \"foo\": must be a standard resource for quota",
            ],
        ),
        (
            json!({"hard": {"pods": "-1", "services": "500m"}}),
            vec![
                "spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0",
                "spec.hard[services]: Invalid value: \"500m\": must be an integer",
            ],
        ),
        (
            json!({"hard": {"services": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}),
            vec![
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: unsupported scope applied to resource",
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: unsupported scope applied to resource",
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes",
            ],
        ),
        (
            json!({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In"}, {"scopeName": "Terminating", "operator": "Exists"}]}}),
            vec![
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` \
                 is 'In' or 'NotIn' for scope selector",
            ],
        ),
    ];
    for (spec, expected) in cases {
        let found = ResourceQuota.validate_create(&quota(&spec));
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected, "{spec}");
    }
}

#[test]
fn scopes_may_not_change() {
    let (old, new) = (
        quota(&json!({"scopes": ["Terminating"]})),
        quota(&json!({"scopes": ["NotTerminating"]})),
    );
    assert_eq!(
        ResourceQuota.validate_update(Part::Main, &new, &old).len(),
        1
    );
    assert!(
        ResourceQuota
            .validate_update(Part::Main, &old, &old)
            .is_empty()
    );
}

#[test]
fn limits_below_requests_are_warned_of() {
    let odd = quota(&json!({"hard": {"cpu": "2", "limits.cpu": "1"}}));
    let warnings = ResourceQuota.warnings(Part::Main, &odd, None);
    assert_eq!(
        warnings,
        ["ResourceQuota cpu (2) should be less than limits.cpu (1)"]
    );
}

#[test]
fn a_row_shows_what_is_used_of_what() {
    let object = json!({"metadata": {"name": "q"}, "status": {
        "hard": {"pods": "3", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1", "limits.cpu": "500m", "cpu": "0"}}});
    let cells = ResourceQuota.cells(&object, Timestamp::UNIX_EPOCH);
    assert_eq!(
        cells[..3],
        ["q", "cpu: 0/1, pods: 1/3", "limits.cpu: 500m/2"].map(Value::from)
    );
}
