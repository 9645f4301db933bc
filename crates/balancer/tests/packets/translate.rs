//! Translation, and what the balancer's own stack answers.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::json;
use testkit::lab::Lab;

use crate::place::{Place, everywhere, held};

#[test]
fn every_pod_answers_over_the_balancers_address_and_other_ports_are_refused() {
    let mut place = Place::new(3);
    let pods: Vec<_> = (1..=3).map(|n| place.lab.start_pod(n, 5)).collect();
    place.serve(1, &pods.iter().collect::<Vec<_>>(), json!({}));
    let client = place.client();
    place.wait_for(1);
    for (protocol, to) in everywhere(1) {
        let met: BTreeSet<String> = (0..60)
            .map(|_| client.ask(protocol, to).unwrap().pod)
            .collect();
        assert_eq!(met.len(), 3, "{protocol} {to}: {met:?}");
        let other = SocketAddr::new(to.ip(), 81);
        let error = client.ask(protocol, other).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::ConnectionRefused,
            "{protocol} {other}: {error}"
        );
    }
    for address in held(1) {
        client.ping(address).unwrap();
    }
}

#[test]
fn a_translated_connection_is_the_balancers_for_the_nodes() {
    let mut place = Place::new(2);
    let pod = place.lab.start_pod(1, 5);
    place.serve(1, &[&pod], json!({}));
    let client = place.client();
    place.wait_for(1);
    for (protocol, to) in everywhere(1) {
        for _ in 0..20 {
            let seen = client.ask(protocol, to).unwrap().client.ip();
            let nodes = [Lab::node_addresses(1), Lab::node_addresses(2)].concat();
            assert!(nodes.contains(&seen), "{protocol} {to}: the pod saw {seen}");
        }
    }
}

#[test]
fn only_clients_within_the_source_ranges_come_in() {
    let mut place = Place::new(2);
    let pod = place.lab.start_pod(1, 5);
    let allowed = place.lab.add_client_address(130);
    let refused = place.lab.add_client_address(100);
    let ranges = json!({"loadBalancerSourceRanges": ["198.18.0.128/25", "fd46::80/121"]});
    place.serve(1, &[&pod], ranges);
    for (protocol, to) in everywhere(1) {
        let family = usize::from(to.is_ipv6());
        let friend = place.client().from(allowed[family]);
        friend
            .until("the first answer", protocol, to, Result::is_ok)
            .unwrap();
        let stranger = place.client().from(refused[family]).impatient();
        let error = stranger.ask(protocol, to).unwrap_err();
        assert!(is_silence(&error), "{protocol} {to}: {error}");
    }
    // Without ranges everybody comes in; what was there goes on.
    place.serve(1, &[&pod], json!({}));
    for (protocol, to) in everywhere(1) {
        let stranger = place.client().from(refused[usize::from(to.is_ipv6())]);
        stranger
            .until("a stranger comes in", protocol, to, Result::is_ok)
            .unwrap();
    }
}

#[test]
fn two_services_share_the_nodes_and_do_not_mix() {
    let mut place = Place::new(2);
    let (first, second) = (place.lab.start_pod(1, 5), place.lab.start_pod(2, 6));
    place.serve(1, &[&first], json!({}));
    place.serve(2, &[&second], json!({}));
    let client = place.client();
    place.wait_for(1);
    place.wait_for(2);
    for (n, pod) in [(1, &first), (2, &second)] {
        for (protocol, to) in everywhere(n) {
            for _ in 0..10 {
                assert_eq!(
                    client.ask(protocol, to).unwrap().pod,
                    pod.name,
                    "{protocol} {to}"
                );
            }
        }
    }
    // The one goes, and its address with it; the other stays.
    place.api.delete("Service", "web-1");
    let (_, gone) = everywhere(1)[0];
    let answer = client.until("the address is gone", "TCP", gone, Result::is_err);
    assert!(answer.is_err());
    for (protocol, to) in everywhere(2) {
        assert_eq!(client.ask(protocol, to).unwrap().pod, second.name);
    }
}

#[test]
fn neighbours_learn_an_address_that_changed_hands() {
    let mut place = Place::new(1);
    let pod = place.lab.start_pod(1, 5);
    // The client believes that the address is elsewhere, and would for some time.
    place.lab.believe("client", held(1), "02:00:00:00:00:99");
    place.serve(1, &[&pod], json!({}));
    let client = place.client();
    for (protocol, to) in everywhere(1) {
        client
            .until(
                "the neighbour learns of the address",
                protocol,
                to,
                Result::is_ok,
            )
            .unwrap();
    }
}

/// Nothing came back in time.
pub(crate) fn is_silence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}
