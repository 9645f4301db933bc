//! What counts against a quota and what does not fit, as data.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Kind, Request, charge, status, tracks};
use crate::resource::Part;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn quota(hard: &Value, used: &Value) -> Value {
    json!({"metadata": {"name": "q"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": used}})
}

fn used(quota: &Value, kind: Kind<'_>, objects: &[Value]) -> Value {
    status(quota, &[(kind, objects)], NOW)["used"].clone()
}

fn create(quota: &Value, kind: Kind<'_>, new: &Value) -> Result<Option<Value>, String> {
    let request = Request {
        kind,
        part: Part::Main,
        old: None,
        new,
        now: NOW,
    };
    let changed = charge(std::slice::from_ref(quota), &request)?;
    Ok(changed.into_iter().next().map(|(_, used)| used))
}

#[test]
fn kinds_are_found_by_the_names_in_a_quota() {
    let cases = [
        (("", "pods"), "requests.cpu", true),
        (("", "pods"), "requests.nvidia.com/gpu", true),
        (("", "pods"), "requests.storage", false),
        (("", "pods"), "count/pods", true),
        (("", "services"), "services.nodeports", true),
        (("", "services"), "count/services.apps", false),
        (("apps", "deployments"), "count/deployments.apps", true),
        (("", "configmaps"), "configmaps", true),
        (
            ("", "persistentvolumeclaims"),
            "gold.storageclass.storage.k8s.io/requests.storage",
            true,
        ),
    ];
    for (kind, name, expected) in cases {
        assert_eq!(tracks(kind, name), expected, "{kind:?} {name}");
    }
}

#[test]
fn services_count_their_ports_and_balancers() {
    let hard = json!({"services": "9", "services.nodeports": "9", "services.loadbalancers": "9"});
    let services = [
        json!({"spec": {"type": "ClusterIP", "ports": [{"port": 1}]}}),
        json!({"spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}}),
        json!({"spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
            "ports": [{"port": 1, "nodePort": 30000}, {"port": 2}]}}),
    ];
    let found = used(&quota(&hard, &json!({})), ("", "services"), &services);
    assert_eq!(
        found,
        json!({"services": "3", "services.nodeports": "3", "services.loadbalancers": "1"})
    );
}

#[test]
fn pods_count_until_they_end_with_what_runs_together() {
    let hard = json!({"pods": "9", "count/pods": "9", "requests.cpu": "9", "limits.memory": "9Gi"});
    let pod = json!({"spec": {
        "initContainers": [{"resources": {"requests": {"cpu": "2"}}}, {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}],
        "containers": [
            {"resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}},
            {"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "512Mi"}}}]}});
    let mut ended = pod.clone();
    ended["status"] = json!({"phase": "Succeeded"});
    let found = used(&quota(&hard, &json!({})), ("", "pods"), &[pod, ended]);
    let expected =
        json!({"pods": "1", "count/pods": "2", "requests.cpu": "2", "limits.memory": "1536Mi"});
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_there_is_used_up_by_nobody() {
    let found = used(
        &quota(&json!({"secrets": "1"}), &json!({})),
        ("", "secrets"),
        &[],
    );
    assert_eq!(found, json!({"secrets": "0"}));
}

#[test]
fn a_write_that_fits_is_added_and_one_that_does_not_is_refused() {
    let hard = json!({"services": "2", "services.nodeports": "1"});
    let service = json!({"spec": {"ports": [{"port": 80}]}});
    let room = quota(&hard, &json!({"services": "1", "services.nodeports": "0"}));
    let after = json!({"services": "2", "services.nodeports": "0"});
    assert_eq!(create(&room, ("", "services"), &service), Ok(Some(after)));
    let full = quota(&hard, &json!({"services": "2", "services.nodeports": "0"}));
    let words = "exceeded quota: q, requested: services=1, used: services=2, limited: services=2";
    assert_eq!(
        create(&full, ("", "services"), &service),
        Err(words.to_owned())
    );
    assert_eq!(create(&full, ("", "configmaps"), &json!({})), Ok(None));
}

#[test]
fn a_change_of_type_is_charged_by_the_difference() {
    let full = quota(
        &json!({"services": "1", "services.nodeports": "0"}),
        &json!({"services": "1", "services.nodeports": "0"}),
    );
    let (old, new) = (
        json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}),
        json!({"spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
    );
    let request = Request {
        kind: ("", "services"),
        part: Part::Main,
        old: Some(&old),
        new: &new,
        now: NOW,
    };
    let words = "exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0";
    assert_eq!(
        charge(std::slice::from_ref(&full), &request),
        Err(words.to_owned())
    );
    let back = Request {
        old: Some(&new),
        new: &old,
        ..request
    };
    assert_eq!(charge(&[full], &back), Ok(Vec::new()));
}

#[test]
fn a_quota_on_compute_resources_demands_that_containers_say_theirs() {
    let pod = json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}, {"name": "b"}]}});
    let hard = json!({"cpu": "1", "limits.cpu": "1"});
    let counted = quota(&hard, &json!({"cpu": "0", "limits.cpu": "0"}));
    let words = "failed quota: q: must specify cpu for: a,b; limits.cpu for: b";
    assert_eq!(create(&counted, ("", "pods"), &pod), Err(words.to_owned()));
    let pods = quota(&json!({"pods": "1"}), &json!({}));
    let words = "status unknown for quota: q, resources: pods";
    assert_eq!(create(&pods, ("", "pods"), &pod), Err(words.to_owned()));
}

#[test]
fn scopes_choose_pods() {
    let mut scoped = quota(&json!({"pods": "0"}), &json!({"pods": "0"}));
    scoped["spec"]["scopes"] = json!(["Terminating"]);
    let mut pod = json!({"spec": {"containers": []}});
    assert_eq!(create(&scoped, ("", "pods"), &pod), Ok(None));
    pod["spec"]["activeDeadlineSeconds"] = json!(5);
    assert!(create(&scoped, ("", "pods"), &pod).is_err());
    scoped["spec"] = json!({"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}});
    assert_eq!(create(&scoped, ("", "pods"), &pod), Ok(None));
    pod["spec"]["priorityClassName"] = json!("high");
    assert!(create(&scoped, ("", "pods"), &pod).is_err());
}
