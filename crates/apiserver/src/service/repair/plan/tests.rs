use api::ip_address;
use serde_json::json;

use super::*;

const NOW: &str = "2026-01-01T01:00:00Z";

fn seen(object: Value) -> Seen {
    Seen {
        revision: Revision(7),
        object,
    }
}

fn service(name: &str, spec: &Value) -> Seen {
    let metadata = json!({"namespace": "n", "name": name, "uid": name});
    seen(json!({"kind": "Service", "metadata": metadata, "spec": spec}))
}

fn with_address(name: &str, address: &str) -> Seen {
    service(
        name,
        &json!({"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address]}),
    )
}

fn address(address: &str, of: &str, created: &str) -> Seen {
    let parent = json!({"metadata": {"namespace": "n", "name": of}});
    let mut object = ip_address::of_service(address, &parent);
    object["metadata"]["creationTimestamp"] = created.into();
    seen(object)
}

/// The reasons that are told and what is done.
fn found(services: &[Seen], addresses: &[Seen]) -> Vec<(String, &'static str)> {
    let world = World {
        ranges: vec!["10.96.0.0/16".parse().unwrap()],
        services: services.to_vec(),
        addresses: addresses.to_vec(),
    };
    summary(&super::addresses(&world, NOW.parse().unwrap()))
}

fn summary(findings: &[Finding]) -> Vec<(String, &'static str)> {
    let done = |fix: &Option<Fix>| match fix {
        None => "nothing",
        Some(Fix::Book {
            over: Revision(0), ..
        }) => "book",
        Some(Fix::Book { .. }) => "book again",
        Some(Fix::Drop { .. }) => "drop",
        Some(Fix::HoldPort { .. }) => "hold",
        Some(Fix::FreePort { .. }) => "free",
    };
    let told = |finding: &Finding| {
        finding
            .report
            .as_ref()
            .map_or("", |report| report.reason)
            .to_owned()
    };
    findings
        .iter()
        .map(|finding| (told(finding), done(&finding.fix)))
        .collect()
}

fn one(reason: &str, done: &'static str) -> Vec<(String, &'static str)> {
    vec![(reason.to_owned(), done)]
}

const OLD: &str = "2026-01-01T00:00:00Z";
const YOUNG: &str = "2026-01-01T00:59:58Z";

#[test]
fn a_service_and_its_address_agree() {
    assert!(
        found(
            &[with_address("a", "10.96.0.7")],
            &[address("10.96.0.7", "a", OLD)]
        )
        .is_empty()
    );
    let headless = service("h", &json!({"type": "ClusterIP", "clusterIPs": ["None"]}));
    assert!(found(&[headless], &[]).is_empty());
}

#[test]
fn an_address_that_is_not_booked_is_booked() {
    let a = with_address("a", "10.96.0.7");
    assert_eq!(
        found(std::slice::from_ref(&a), &[]),
        one("ClusterIPNotAllocated", "book")
    );
    let mut foreign = address("10.96.0.7", "a", OLD);
    foreign.object["spec"]["parentRef"]["resource"] = "gateways".into();
    foreign.object["metadata"]["labels"] = json!({});
    assert_eq!(
        found(std::slice::from_ref(&a), &[foreign]),
        one("ClusterIPNotAllocated", "book again")
    );
    let mut bare = address("10.96.0.7", "a", OLD);
    bare.object["metadata"]["labels"] = json!({});
    assert_eq!(found(&[a], &[bare]), one("", "book again"));
}

#[test]
fn what_cannot_be_repaired_is_told() {
    assert_eq!(
        found(&[with_address("a", "10.0.0.7")], &[]),
        one("ClusterIPOutOfRange", "nothing")
    );
    assert_eq!(
        found(&[with_address("a", "x")], &[]),
        one("ClusterIPNotValid", "nothing")
    );
    let both = [
        with_address("a", "10.96.0.7"),
        with_address("b", "10.96.0.7"),
    ];
    assert_eq!(
        found(&both, &[address("10.96.0.7", "a", OLD)]),
        one("ClusterIPAlreadyAllocated", "nothing")
    );
}

#[test]
fn leaked_addresses_go_after_a_while() {
    assert_eq!(
        found(&[], &[address("10.96.0.7", "a", OLD)]),
        one("IPAddressNotAllocated", "drop")
    );
    assert!(found(&[], &[address("10.96.0.7", "a", YOUNG)]).is_empty());
    let a = service("a", &json!({"type": "ClusterIP", "clusterIPs": ["None"]}));
    let stray = [address("10.96.0.8", "a", OLD)];
    assert_eq!(
        found(std::slice::from_ref(&a), &stray),
        one("IPAddressWrongReference", "drop")
    );
    assert!(found(&[a], &[address("10.96.0.8", "a", YOUNG)]).is_empty());
    let mut own = address("10.96.0.9", "a", OLD);
    own.object["metadata"]["labels"] = json!({});
    assert!(found(&[], &[own]).is_empty(), "a hand-made reservation");
}

#[test]
fn an_address_written_oddly_is_the_one_it_means() {
    let six = with_address("a", "fd00:0::0007");
    let world = World {
        ranges: vec!["fd00::/112".parse().unwrap()],
        services: vec![six],
        addresses: vec![address("fd00::7", "a", OLD)],
    };
    assert!(addresses(&world, NOW.parse().unwrap()).is_empty());
}

#[test]
fn ports_are_held_once_and_freed_when_nobody_has_them() {
    let node_port =
        |name: &str, ports: &Value| service(name, &json!({"type": "NodePort", "ports": ports}));
    let shared =
        json!([{"protocol": "TCP", "nodePort": 30001}, {"protocol": "UDP", "nodePort": 30001}]);
    let held: BTreeMap<u16, Revision> = [(30_001, Revision(1))].into();
    let found = |services: &[Seen]| summary(&ports(services, &held, 30_000..=32_767));
    assert!(found(&[node_port("a", &shared)]).is_empty());
    assert_eq!(found(&[]), one("", "free"));
    let two = [
        node_port("a", &shared),
        node_port("b", &json!([{"protocol": "TCP", "nodePort": 30001}])),
    ];
    assert_eq!(found(&two), one("PortAlreadyAllocated", "nothing"));
    let more = json!([{"protocol": "TCP", "nodePort": 30001}, {"protocol": "TCP", "nodePort": 30002}, {"protocol": "TCP", "nodePort": 80}]);
    let mut expected = one("PortNotAllocated", "hold");
    expected.extend(one("PortOutOfRange", "nothing"));
    assert_eq!(found(&[node_port("a", &more)]), expected);
}
