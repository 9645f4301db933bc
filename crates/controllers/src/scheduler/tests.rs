//! Tables for choosing nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::plan::{Choice, choose};

fn node(name: &str, over: &Value) -> Arc<Node> {
    let mut node = json!({"metadata": {"name": name, "labels": {"name": name}}, "spec": {},
        "status": {"allocatable": {"cpu": "1", "pods": "3"}}});
    for part in ["metadata", "spec", "status"] {
        for (key, value) in over[part].as_object().into_iter().flatten() {
            node[part][key] = value.clone();
        }
    }
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(owner: &str, spec: &Value) -> Arc<Pod> {
    let mut pod = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": owner, "controller": true}]},
        "spec": {"containers": []}});
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn said(choice: Choice) -> String {
    match choice {
        Choice::Node(name) => name,
        Choice::None(why) => why,
    }
}

#[test]
fn filters_say_what_is_in_the_way() {
    let taint = |effect: &str| json!({"spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": effect}]}});
    let tolerant =
        json!({"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]});
    let needs =
        |cpu: &str| json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
    let affinity = |key: &str, values: &[&str]| {
        let term = json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}})
    };
    let nothing = json!({});
    let cases = [
        (nothing.clone(), nothing.clone(), "a"),
        (
            taint("NoSchedule"),
            nothing.clone(),
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
        ),
        (taint("PreferNoSchedule"), nothing.clone(), "a"),
        (taint("NoExecute"), tolerant, "a"),
        (
            json!({"spec": {"unschedulable": true}}),
            nothing.clone(),
            "0/1 nodes are available: 1 node(s) were unschedulable.",
        ),
        (
            nothing.clone(),
            json!({"nodeSelector": {"name": "b"}}),
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        ),
        (nothing.clone(), affinity("name", &["a"]), "a"),
        (
            nothing.clone(),
            affinity("name", &["b"]),
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        ),
        (nothing.clone(), needs("900m"), "a"),
        (
            nothing,
            needs("1100m"),
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
    ];
    for (of_node, of_pod, expected) in cases {
        let chosen = choose(&pod("o", &of_pod), &[node("a", &of_node)], &BTreeMap::new());
        assert_eq!(said(chosen), expected, "{of_node} {of_pod}");
    }
}

#[test]
fn pods_of_one_owner_spread() {
    let nodes = ["a", "b", "c"].map(|name| node(name, &json!({})));
    let mut on_nodes = BTreeMap::<String, Vec<Arc<Pod>>>::new();
    on_nodes
        .entry("a".to_owned())
        .or_default()
        .push(pod("other", &json!({})));
    let mut chosen = Vec::new();
    for _ in 0..3 {
        let one = pod("mine", &json!({}));
        let name = said(choose(&one, &nodes, &on_nodes));
        on_nodes.entry(name.clone()).or_default().push(one);
        chosen.push(name);
    }
    assert_eq!(chosen, ["b", "c", "a"]);
}

#[test]
fn a_full_node_takes_no_more() {
    let nodes = [node("a", &json!({}))];
    let full = [(
        "a".to_owned(),
        vec![
            pod("x", &json!({})),
            pod("x", &json!({})),
            pod("x", &json!({})),
        ],
    )]
    .into();
    assert_eq!(
        said(choose(&pod("x", &json!({})), &nodes, &full)),
        "0/1 nodes are available: 1 Too many pods."
    );
    let none = choose(&pod("x", &json!({})), &[], &BTreeMap::new());
    assert_eq!(said(none), "no nodes available to schedule pods");
}

#[test]
fn host_ports_are_not_shared() {
    let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]}]});
    let nodes = [node("a", &json!({})), node("b", &json!({}))];
    let on_nodes = [("a".to_owned(), vec![pod("x", &port)])].into();
    assert_eq!(said(choose(&pod("x", &port), &nodes, &on_nodes)), "b");
}
