//! Budgets and pods in, numbers out.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use super::plan::{Plan, Scale, plan, selects};

fn budget(spec: &Value) -> PodDisruptionBudget {
    let object = json!({"metadata": {"name": "web", "generation": 1}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn pods(count: usize, ready: usize, owner: &str) -> Vec<Arc<Pod>> {
    let pod = |index: usize| {
        let word = if index < ready { "True" } else { "False" };
        let object = json!({
            "metadata": {"name": format!("web-{index}"), "labels": {"app": "web"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": owner, "name": "web", "uid": "u", "controller": true}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": word}]}});
        Arc::new(serde_json::from_value(object).unwrap())
    };
    (0..count).map(pod).collect()
}

fn of(spec: &Value, pods: &[Arc<Pod>]) -> Plan {
    let scale = |owner: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference| {
        (owner.kind == "ReplicaSet").then(|| Scale {
            uid: owner.uid.clone(),
            replicas: 5,
        })
    };
    plan(&budget(spec), pods, scale, Timestamp::UNIX_EPOCH)
}

#[test]
fn numbers_and_shares_say_how_many_may_go() {
    let cases = [
        (json!({"minAvailable": 2}), 3, (3, 2, 1)),
        (json!({"minAvailable": 4}), 3, (3, 4, 0)),
        (json!({"minAvailable": "50%"}), 3, (5, 3, 0)),
        (json!({"minAvailable": "20%"}), 3, (5, 1, 2)),
        (json!({"maxUnavailable": 2}), 3, (5, 3, 0)),
        (json!({"maxUnavailable": "60%"}), 3, (5, 2, 1)),
        (json!({"minAvailable": 0}), 0, (3, 0, 0)),
    ];
    for (spec, ready, (expected, desired, allowed)) in cases {
        let status = of(&spec, &pods(3, ready, "ReplicaSet")).status;
        let found = (
            status.expected_pods,
            status.desired_healthy,
            status.disruptions_allowed,
        );
        let wanted = (Some(expected), Some(desired), Some(allowed));
        assert_eq!(found, wanted, "{spec}");
        let condition = &status.conditions.unwrap()[0];
        assert_eq!(condition.status, if allowed > 0 { "True" } else { "False" });
    }
}

#[test]
fn what_cannot_be_counted_lets_nothing_go() {
    let plan = of(&json!({"maxUnavailable": 2}), &pods(1, 1, "Strange"));
    assert_eq!(plan.status.disruptions_allowed, Some(0));
    let condition = &plan.status.conditions.unwrap()[0];
    assert_eq!(condition.reason, "SyncFailed");
    assert_eq!(condition.message, "found no controllers for pod \"web-0\"");
}

#[test]
fn an_evicted_pod_does_not_count_for_two_minutes() {
    let mut budget = budget(&json!({"minAvailable": 1}));
    let all = pods(2, 2, "ReplicaSet");
    let mut at = |seconds| {
        let evicted = json!({"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2,
            "disruptedPods": {"web-0": "1970-01-01T00:00:00Z"}});
        budget.status = serde_json::from_value(evicted).unwrap();
        let now = Timestamp::from_second(seconds).unwrap();
        plan(&budget, &all, |_| None, now)
    };
    assert_eq!(at(10).status.current_healthy, Some(1));
    assert_eq!(at(10).again.unwrap().as_secs(), 110);
    assert_eq!(at(130).status.current_healthy, Some(2));
}

#[test]
fn a_budget_without_a_selector_is_about_no_pod() {
    let pod = &pods(1, 1, "ReplicaSet")[0];
    assert!(!selects(&budget(&json!({})), pod));
    assert!(selects(&budget(&json!({"selector": {}})), pod));
    assert!(!selects(
        &budget(&json!({"selector": {"matchLabels": {"app": "x"}}})),
        pod
    ));
}
