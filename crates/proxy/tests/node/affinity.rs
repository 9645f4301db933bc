//! How long a client stays with its endpoint (service-semantics 4.5). The cases say where it stays.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::lab::Lab;

use crate::place::{Place, until};

#[test]
fn every_client_is_drawn_an_endpoint_of_its_own() {
    let mut place = Place::new(1);
    let pods: Vec<_> = (1..=3).map(|n| place.lab.start_pod(1, n)).collect();
    place.serve(
        &pods.iter().collect::<Vec<_>>(),
        &json!({"sessionAffinity": "ClientIP"}),
    );
    let client = place.lab.dialler("client");
    for to in Lab::node_addresses(1).map(|address| SocketAddr::new(address, 30080)) {
        let mut pods_of_ports = Vec::new();
        for protocol in ["TCP", "UDP"] {
            client
                .until("the first answer", protocol, to, Result::is_ok)
                .unwrap();
            let pods: Vec<String> = (0..40)
                .map(|n| {
                    let own = place.lab.add_client_address(100 + n)[usize::from(to.is_ipv6())];
                    let own = client.from(own);
                    let pod = own.ask(protocol, to).unwrap().pod;
                    assert_eq!(own.ask(protocol, to).unwrap().pod, pod, "{protocol} {to}");
                    pod
                })
                .collect();
            let met: BTreeSet<&String> = pods.iter().collect();
            assert_eq!(met.len(), 3, "{protocol} {to}: 40 clients met {met:?}");
            pods_of_ports.push(pods);
        }
        // The Service's ports know nothing of each other.
        assert_ne!(pods_of_ports[0], pods_of_ports[1], "{to}");
    }
}

#[test]
fn a_client_is_forgotten_so_long_after_its_last_connection_and_not_before() {
    let mut place = Place::new(1);
    let from = place.lab.start_pod(1, 9);
    let pods: Vec<_> = (1..=4).map(|n| place.lab.start_pod(1, n)).collect();
    let spec = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 3}}});
    place.serve(&pods.iter().collect::<Vec<_>>(), &spec);
    let ways = place.ways(&from);
    for (dialler, to) in &ways {
        dialler
            .until("the first answer", "TCP", *to, Result::is_ok)
            .unwrap();
    }
    // Each connection counts anew, so it stays for longer than the time.
    let first: Vec<_> = ways
        .iter()
        .map(|(dialler, to)| dialler.ask_tcp(*to).unwrap().pod)
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        for ((dialler, to), first) in ways.iter().zip(&first) {
            assert_eq!(&dialler.ask_tcp(*to).unwrap().pod, first, "{to}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // Silent for longer than the time, it is spread afresh, sooner or later to another pod.
    until("somebody was spread afresh", || {
        std::thread::sleep(Duration::from_millis(3200));
        let now = ways
            .iter()
            .map(|(dialler, to)| dialler.ask_tcp(*to).unwrap().pod);
        now.zip(&first).any(|(now, first)| now != *first)
    });
}
