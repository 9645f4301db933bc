//! Tables for addresses.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::Pools;
use super::plan::{Plan, plan};

fn service(name: &str, over: &Value) -> Service {
    let mut service = json!({"metadata": {"name": name, "namespace": "n"},
        "spec": {"type": "LoadBalancer", "ipFamilies": ["IPv4"]}, "status": {}});
    for part in ["metadata", "spec", "status"] {
        for (key, value) in over[part].as_object().into_iter().flatten() {
            service[part][key] = value.clone();
        }
    }
    serde_json::from_value(service).unwrap()
}

fn holding(addresses: &[&str]) -> Value {
    let ingress: Vec<_> = addresses
        .iter()
        .map(|ip| json!({"ip": ip, "ipMode": "VIP"}))
        .collect();
    json!({"metadata": {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]},
        "status": {"loadBalancer": {"ingress": ingress}}})
}

/// What the plan says, in short.
fn outcome(service: &Service, others: &[Service], pools: &[&str]) -> String {
    let others: Vec<_> = others.iter().cloned().map(Arc::new).collect();
    match plan(service, &others, &Pools::parse(pools).unwrap()) {
        Plan::Nothing => "nothing".to_owned(),
        Plan::Give(patch) => {
            let ingress = patch["status"]["loadBalancer"]["ingress"]
                .as_array()
                .unwrap()
                .clone();
            let ips: Vec<_> = ingress
                .iter()
                .map(|one| one["ip"].as_str().unwrap().to_owned())
                .collect();
            format!("give {}", ips.join(" "))
        }
        Plan::TakeBack(patch) => {
            format!("take back, finalizers {}", patch["metadata"]["finalizers"])
        }
        Plan::Refuse(why) => why,
    }
}

#[test]
fn addresses_are_given_kept_and_taken_back() {
    let pool = &["192.0.2.0/29"][..];
    let both = &["192.0.2.0/29", "2001:db8::/120"][..];
    let other = [service("other", &holding(&["192.0.2.1"]))];
    let dual = json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}});
    let asks = |ip: &str| json!({"spec": {"loadBalancerIP": ip}});
    let mut going = holding(&["192.0.2.1"]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut changed = holding(&["192.0.2.1"]);
    changed["spec"] = json!({"type": "NodePort"});
    let cases: &[(Value, &[Service], &[&str], &str)] = &[
        (json!({}), &[], pool, "give 192.0.2.1"),
        (json!({}), &other, pool, "give 192.0.2.2"),
        (dual.clone(), &[], both, "give 192.0.2.1 2001:db8::1"),
        (dual, &[], pool, "give 192.0.2.1"),
        (
            json!({"spec": {"ipFamilies": ["IPv6"]}}),
            &[],
            pool,
            "no pool has IPv6 addresses",
        ),
        (asks("192.0.2.5"), &[], pool, "give 192.0.2.5"),
        (
            asks("192.0.2.1"),
            &other,
            pool,
            "the requested address 192.0.2.1 belongs to another Service",
        ),
        (
            asks("198.51.100.1"),
            &[],
            pool,
            "the requested address 198.51.100.1 is in no pool",
        ),
        (
            json!({"metadata": {"annotations": {"fairway/load-balancer-addresses": "192.0.2.4"}}}),
            &[],
            pool,
            "give 192.0.2.4",
        ),
        (
            json!({}),
            &other,
            &["192.0.2.1"],
            "all IPv4 addresses of the pools are given out",
        ),
        (holding(&["192.0.2.3"]), &other, pool, "nothing"),
        (holding(&["203.0.113.1"]), &[], pool, "give 192.0.2.1"),
        (
            json!({"spec": {"loadBalancerClass": "example.com/other"}}),
            &[],
            pool,
            "nothing",
        ),
        (json!({"spec": {"type": "NodePort"}}), &[], pool, "nothing"),
        (going, &[], pool, "take back, finalizers null"),
        (changed, &[], pool, "take back, finalizers null"),
    ];
    for (over, others, pools, expected) in cases {
        assert_eq!(
            outcome(&service("web", over), others, pools),
            *expected,
            "{over}"
        );
    }
}

#[test]
fn pools_are_used_in_order_and_requests_are_held_to_them() {
    let two = &["192.0.2.1", "198.51.100.0/29"][..];
    let both = &["192.0.2.1", "2001:db8::1"][..];
    let first_taken = [service("other", &holding(&["192.0.2.1"]))];
    let six_taken = [service("other", &holding(&["2001:db8::1"]))];
    let mut going = holding(&["192.0.2.1"]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let still_held = [service("other", &going)];
    let annotated = |text: &str, over: &Value| {
        let mut asks = over.clone();
        asks["metadata"]["annotations"] = json!({"fairway/load-balancer-addresses": text});
        asks
    };
    let dual = json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}});
    let field = json!({"spec": {"loadBalancerIP": "198.51.100.2"}});
    let cases: &[(Value, &[Service], &[&str], &str)] = &[
        (json!({}), &first_taken, two, "give 198.51.100.1"),
        (json!({}), &still_held, two, "give 198.51.100.1"),
        (field.clone(), &[], two, "give 198.51.100.2"),
        (
            annotated("198.51.100.3", &field),
            &[],
            two,
            "give 198.51.100.3",
        ),
        (
            annotated("2001:db8::1, 192.0.2.1", &dual),
            &[],
            both,
            "give 192.0.2.1 2001:db8::1",
        ),
        (
            dual.clone(),
            &six_taken,
            both,
            "all IPv6 addresses of the pools are given out",
        ),
        (
            annotated("2001:db8::1", &json!({})),
            &[],
            both,
            "the requested address 2001:db8::1 is of a family that the Service does not have",
        ),
        (
            annotated("here", &json!({})),
            &[],
            both,
            "the requested address \"here\" is no IP address",
        ),
    ];
    for (over, others, pools, expected) in cases {
        let found = outcome(&service("web", over), others, pools);
        assert_eq!(found, *expected, "{over}");
    }
}
