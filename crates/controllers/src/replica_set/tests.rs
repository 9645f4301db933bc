//! Tables for the plan: who is made, who goes, who changes hands.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::plan::{Plan, owns, plan, pod};
use super::{rank, status};

fn set(replicas: i32) -> ReplicaSet {
    let set = json!({
        "metadata": {"name": "web", "namespace": "n", "uid": "set", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web", "extra": "1"}}, "spec": {"containers": []}}}});
    serde_json::from_value(set).expect("a ReplicaSet")
}

fn a_pod(name: &str, owner: &str, over: Value) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": {"name": name, "uid": name, "labels": {"app": "web"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": owner, "controller": true}]},
        "spec": {"containers": []}, "status": {"phase": "Running"}});
    if owner.is_empty() {
        pod["metadata"]["ownerReferences"] = Value::Null;
    }
    merge(&mut pod, over);
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

fn merge(into: &mut Value, over: Value) {
    match over {
        Value::Object(over) if into.is_object() => {
            for (key, value) in over {
                merge(&mut into[key], value);
            }
        }
        over => *into = over,
    }
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter()
        .map(|pod| pod.metadata.name.as_deref().unwrap())
        .collect()
}

#[test]
fn missing_pods_are_made_and_others_pods_left_alone() {
    let pods = [
        a_pod("own", "set", json!({})),
        a_pod("stray", "", json!({})),
        a_pod("foreign", "other", json!({})),
        a_pod(
            "relabelled",
            "set",
            json!({"metadata": {"labels": {"app": "x"}}}),
        ),
        a_pod("failed", "set", json!({"status": {"phase": "Failed"}})),
        a_pod(
            "going",
            "set",
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        ),
    ];
    let plan = plan(&set(3), &pods, &[]);
    assert_eq!(names(&plan.adopt), ["stray"]);
    assert_eq!(names(&plan.release), ["relabelled"]);
    assert_eq!(names(&plan.active), ["own", "stray"]);
    assert_eq!(
        (plan.create, plan.delete.len(), plan.terminating),
        (1, 0, 1)
    );
}

#[test]
fn a_plan_carried_out_leaves_nothing_to_do() {
    let set = set(2);
    let first = plan(&set, &[], &[]);
    let made: Vec<_> = (0..first.create)
        .map(|n| {
            let mut made = pod(&set);
            made.metadata.name = Some(format!("web-{n}"));
            Arc::new(made)
        })
        .collect();
    assert!(made.iter().all(|pod| owns(&set, pod)));
    let Plan {
        create,
        delete,
        adopt,
        release,
        ..
    } = plan(&set, &made, &made);
    assert_eq!(
        (create, delete.len(), adopt.len(), release.len()),
        (0, 0, 0, 0)
    );
}

#[test]
fn a_deleted_set_makes_and_adopts_nothing() {
    let mut set = set(3);
    set.metadata.deletion_timestamp = Some(crate::time::now());
    let plan = plan(&set, &[a_pod("stray", "", json!({}))], &[]);
    assert_eq!((plan.create, plan.adopt.len()), (0, 0));
}

#[test]
fn the_least_useful_pods_go_first() {
    let ready = |since: &str| json!({"spec": {"nodeName": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}});
    let mut cheap = ready("2026-01-01T00:00:00Z");
    merge(
        &mut cheap,
        json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}}),
    );
    let mut crowded = ready("2026-01-01T00:00:00Z");
    merge(&mut crowded, json!({"spec": {"nodeName": "b"}}));
    let pods = [
        a_pod("old", "set", ready("2026-01-01T00:00:00Z")),
        a_pod("new", "set", ready("2026-01-01T01:00:00Z")),
        a_pod("crowded", "set", crowded.clone()),
        a_pod("cheap", "set", cheap),
        a_pod("unready", "set", json!({"spec": {"nodeName": "a"}})),
        a_pod(
            "pending",
            "set",
            json!({"spec": {"nodeName": "a"}, "status": {"phase": "Pending"}}),
        ),
        a_pod("unassigned", "set", json!({})),
    ];
    let neighbours: Vec<_> = (0..5)
        .map(|n| a_pod(&n.to_string(), "other", crowded.clone()))
        .collect();
    let relatives: Vec<_> = pods.iter().cloned().chain(neighbours).collect();
    let now: Timestamp = "2026-01-01T01:00:01Z".parse().unwrap();
    let order = rank::first_to_go(&pods, &relatives, now);
    assert_eq!(
        names(&order),
        [
            "unassigned",
            "pending",
            "unready",
            "cheap",
            "crowded",
            "new",
            "old"
        ]
    );
}

#[test]
fn counters_follow_the_pods() {
    let mut set = set(3);
    set.spec.as_mut().unwrap().min_ready_seconds = Some(10);
    let ready = |since: &str| {
        json!({"metadata": {"labels": {"extra": "1"}},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}})
    };
    let pods = [
        a_pod("a", "set", ready("2026-01-01T00:00:00Z")),
        a_pod("b", "set", ready("2026-01-01T00:00:55Z")),
        a_pod("c", "set", json!({})),
    ];
    let plan = plan(&set, &pods, &[]);
    let now = "2026-01-01T00:01:00Z".parse().unwrap();
    let (status, again) = status::status(&set, &plan, now);
    assert_eq!(
        (
            status.replicas,
            status.ready_replicas,
            status.available_replicas
        ),
        (3, Some(2), Some(1))
    );
    assert_eq!(status.fully_labeled_replicas, Some(2));
    assert_eq!(again, Some(std::time::Duration::from_secs(5)));
}
