//! Tables for subsets and for the object around them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointSubset, Pod, Service};
use serde_json::{Value, json};

use super::plan::plan;
use super::subsets::{repack, truncate};

fn subsets(value: Value) -> Vec<EndpointSubset> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn subsets_are_grouped_by_ports_and_sorted_as_text() {
    let mixed = subsets(json!([
        {"addresses": [{"ip": "10.1.0.2"}], "ports": [{"port": 80}]},
        {"addresses": [{"ip": "10.1.0.10"}], "ports": [{"port": 80}]},
        {"addresses": [{"ip": "10.1.0.2"}], "ports": [{"port": 81, "name": "b"}]},
        {"addresses": [{"ip": "10.1.0.10"}], "ports": [{"port": 81, "name": "b"}]},
        {"notReadyAddresses": [{"ip": "10.1.0.3"}], "ports": [{"port": 9}]},
    ]));
    let expected = subsets(json!([
        {"addresses": [{"ip": "10.1.0.10"}, {"ip": "10.1.0.2"}], "ports": [{"port": 80}, {"port": 81, "name": "b"}]},
        {"notReadyAddresses": [{"ip": "10.1.0.3"}], "ports": [{"port": 9}]},
    ]));
    assert_eq!(repack(&mixed), expected);
    assert_eq!(repack(&expected), expected);
}

#[test]
fn not_ready_wins_over_ready() {
    let both = subsets(
        json!([{"addresses": [{"ip": "10.1.0.1"}], "notReadyAddresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 80}]}]),
    );
    assert_eq!(
        repack(&both),
        subsets(json!([{"notReadyAddresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 80}]}]))
    );
}

#[test]
fn a_thousand_addresses_are_the_limit_and_ready_ones_come_first() {
    let many = |prefix: &str, count: usize| -> Vec<Value> {
        (0..count)
            .map(|n| json!({"ip": format!("{prefix}.{}.{}", n / 250, n % 250)}))
            .collect()
    };
    let mut large = subsets(
        json!([{"addresses": many("10.1", 900), "notReadyAddresses": many("10.2", 200), "ports": [{"port": 1}]}]),
    );
    assert!(truncate(&mut large));
    assert_eq!(large[0].addresses.as_ref().unwrap().len(), 900);
    assert_eq!(large[0].not_ready_addresses.as_ref().unwrap().len(), 100);
    assert!(!truncate(&mut large));
}

#[test]
fn the_object_follows_and_settles() {
    let service: Service = serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n", "labels": {"tier": "x"}},
        "spec": {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}})).unwrap();
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"nodeName": "gone", "containers": []},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.1.0.1"}], "conditions": [{"type": "Ready", "status": "True"}]}})).unwrap();
    let mut pods = vec![Arc::new(pod)];
    let made = plan(
        &service,
        &pods,
        None,
        Some(&"2026-01-01T00:00:00Z".to_owned()),
    )
    .expect("a new object");
    let labels = made.metadata.labels.clone().unwrap();
    assert_eq!(
        labels["endpoints.kubernetes.io/managed-by"],
        "endpoint-controller"
    );
    assert_eq!(
        made.subsets.as_ref().unwrap()[0].ports.as_ref().unwrap()[0].port,
        8080
    );
    assert!(plan(&service, &pods, Some(&made), None).is_none());
    Arc::make_mut(&mut pods[0]).metadata.deletion_timestamp = Some(crate::time::now());
    let emptied = plan(&service, &pods, Some(&made), None).expect("a terminating pod leaves");
    assert!(emptied.subsets.is_none());
    assert!(
        !emptied
            .metadata
            .annotations
            .unwrap()
            .contains_key("endpoints.kubernetes.io/last-change-trigger-time")
    );
}
