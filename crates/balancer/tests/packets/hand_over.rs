//! Handing over: the client's address arrives, affinity holds, no node port is needed.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::json;

use crate::place::{Place, everywhere, until};
use crate::translate::is_silence;

#[test]
fn local_policy_shows_the_client_to_the_pods_and_spares_nodes_without_any() {
    let mut place = Place::new(3);
    let pods = [place.lab.start_pod(1, 5), place.lab.start_pod(2, 5)];
    place.serve(
        1,
        &pods.iter().collect::<Vec<_>>(),
        json!({"externalTrafficPolicy": "Local"}),
    );
    let client = place.client();
    place.wait_for(1);
    // A datagram's node follows from the addresses alone.
    let addresses: Vec<_> = (100..160)
        .map(|n| place.lab.add_client_address(n))
        .collect();
    let own = |to: SocketAddr| {
        let family = usize::from(to.is_ipv6());
        addresses.iter().map(move |both| both[family])
    };
    for (protocol, to) in everywhere(1) {
        // A node that says late that it has a pod comes in late; one without any would let clients wait.
        until("both nodes with a pod take part, and no other", || {
            let met: BTreeSet<String> = own(to)
                .map(|own| {
                    let said = client.from(own).ask(protocol, to).unwrap();
                    let (seen, node) = (said.client.ip(), said.node);
                    assert_eq!(seen, own, "{protocol} {to}: the pod on {node}");
                    node
                })
                .collect();
            met.into_iter().eq(["node-1", "node-2"])
        });
    }
    // The pods move: the health-check node ports say so, and the balancer follows.
    let moved = place.lab.start_pod(3, 5);
    place.set_pods(1, &[&moved]);
    for (protocol, to) in everywhere(1) {
        let follows = |own| {
            let said = client.from(own).impatient().ask(protocol, to);
            said.is_ok_and(|said| said.node == "node-3")
        };
        until("traffic follows the pod", || own(to).all(follows));
    }
    // No pod at all: silence, as the policy has it, and not another node.
    place.set_pods(1, &[]);
    for (protocol, to) in everywhere(1) {
        let error = client
            .until("no pod, no answer", protocol, to, Result::is_err)
            .unwrap_err();
        assert!(
            is_silence(&error) || error.kind() == std::io::ErrorKind::ConnectionRefused,
            "{error}"
        );
    }
}

#[test]
fn with_affinity_a_client_stays_on_one_pod() {
    let mut place = Place::new(3);
    let pods: Vec<_> = (1..=3).map(|n| place.lab.start_pod(n, 5)).collect();
    let spec = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}});
    let all: Vec<_> = pods.iter().collect();
    place.serve(1, &all, spec);
    // A client may move as long as nodes join. Of a handed-over connection nobody says by which node it came
    // in; of a translated one the balancer does, and the same checks let the node into both rings.
    place.serve(2, &all, json!({}));
    let client = place.client();
    place.wait_for(1);
    place.wait_for_every_node(2);
    for (protocol, to) in everywhere(1) {
        let mut met = BTreeSet::new();
        for n in 0..32 {
            let own = client.from(place.lab.add_client_address(100 + n)[usize::from(to.is_ipv6())]);
            let first = own.ask(protocol, to);
            let first = first
                .unwrap_or_else(|error| panic!("{protocol} {to}, client {n}: {error}"))
                .pod;
            for _ in 0..8 {
                assert_eq!(own.ask(protocol, to).unwrap().pod, first, "{protocol} {to}");
            }
            met.insert(first);
        }
        assert_eq!(met.len(), 3, "{protocol} {to}: 32 clients met {met:?}");
    }
}

#[test]
fn without_node_ports_packets_are_handed_over() {
    let mut place = Place::new(3);
    let pods: Vec<_> = (1..=3).map(|n| place.lab.start_pod(n, 5)).collect();
    place.serve(
        1,
        &pods.iter().collect::<Vec<_>>(),
        json!({"allocateLoadBalancerNodePorts": false}),
    );
    let client = place.client();
    place.wait_for(1);
    for (protocol, to) in everywhere(1) {
        let met: BTreeSet<String> = (0..60)
            .map(|_| client.ask(protocol, to).unwrap().pod)
            .collect();
        assert_eq!(met.len(), 3, "{protocol} {to}: {met:?}");
    }
}

#[test]
fn source_ranges_hold_where_packets_are_handed_over() {
    let mut place = Place::new(2);
    let pod = place.lab.start_pod(1, 5);
    let allowed = place.lab.add_client_address(130);
    let refused = place.lab.add_client_address(100);
    let spec = json!({"externalTrafficPolicy": "Local",
        "loadBalancerSourceRanges": ["198.18.0.128/25", "fd46::80/121"]});
    place.serve(1, &[&pod], spec);
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
}

#[test]
fn a_service_changes_its_way_under_its_clients() {
    let mut place = Place::new(2);
    let pods = [place.lab.start_pod(1, 5), place.lab.start_pod(2, 5)];
    let pods: Vec<_> = pods.iter().collect();
    place.serve(1, &pods, json!({}));
    let client = place.client();
    let own = place.lab.add_client_address(100);
    place.wait_for(1);
    place.serve(1, &pods, json!({"externalTrafficPolicy": "Local"}));
    for (protocol, to) in everywhere(1) {
        let own = own[usize::from(to.is_ipv6())];
        let dialler = client.from(own);
        until("the client's address arrives", || {
            dialler
                .impatient()
                .ask(protocol, to)
                .is_ok_and(|said| said.client.ip() == own)
        });
    }
    place.serve(1, &pods, json!({}));
    for (protocol, to) in everywhere(1) {
        let own = own[usize::from(to.is_ipv6())];
        let dialler = client.from(own);
        until("the balancer translates again", || {
            dialler
                .impatient()
                .ask(protocol, to)
                .is_ok_and(|said| said.client.ip() != own)
        });
    }
}
