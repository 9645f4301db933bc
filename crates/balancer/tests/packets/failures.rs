//! What a client notices when parts die.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use testkit::lab::{Conversation, Pod};

use crate::place::{Place, everywhere, held, until};

/// A cluster of three nodes with a pod each, and Service 1 (translated) and 2 (handed over) before them.
fn both_ways(mut place: Place) -> (Place, Vec<Pod>) {
    let pods: Vec<_> = (1..=3).map(|n| place.lab.start_pod(n, 5)).collect();
    let all: Vec<_> = pods.iter().collect();
    // The pods are where they outlive node-3, so that only who entered by it loses anything.
    place.serve(1, &all[..2], json!({}));
    place.serve(2, &all, json!({"externalTrafficPolicy": "Local"}));
    place.wait_for(1);
    place.wait_for(2);
    // The rings have all three nodes before anything is counted.
    place.wait_for_every_node(1);
    place.wait_for_every_node(2);
    (place, pods)
}

fn node_dies(kill: impl Fn(&mut Place)) {
    let (mut place, pods) = both_ways(Place::mortal(3));
    let addresses: Vec<SocketAddr> = [1, 2]
        .iter()
        .flat_map(|n| held(*n))
        .map(|a| SocketAddr::new(a, 80))
        .collect();
    let mut talks: Vec<_> = addresses.iter().map(|to| place.talk(*to, 24)).collect();
    let mut datagrams: Vec<_> = [everywhere(1), everywhere(2)]
        .concat()
        .into_iter()
        .filter(|(p, _)| *p == "UDP")
        .map(|(_, to)| {
            let mut talk = place.client().datagrams(to).unwrap();
            talk.ask().unwrap();
            talk
        })
        .collect();
    kill(&mut place);
    // Its endpoints leave the Services, as the control plane has it after a while.
    let left: Vec<_> = pods.iter().take(2).collect();
    place.set_pods(1, &left);
    place.set_pods(2, &left);
    for to in &addresses {
        until("new connections avoid the dead node", || {
            (0..24).all(|_| place.client().impatient().ask_tcp(*to).is_ok())
        });
    }
    for (to, talks) in addresses.iter().zip(&mut talks) {
        let mut lost = 0;
        for (talk, node) in talks {
            let answer = match node {
                3 => {
                    lost += 1;
                    continue;
                }
                _ => talk.ask(),
            };
            assert!(
                answer.is_ok(),
                "{to}: a connection by node-{node} was lost: {answer:?}"
            );
        }
        assert!(lost > 0, "{to}: nobody was on the node that died");
    }
    for talk in &mut datagrams {
        talk.set_patience(Duration::from_millis(300));
        talk.until("datagrams from the same port find another node", |said| {
            said.node != "node-3"
        });
    }
}

#[test]
fn a_node_that_loses_its_power_takes_only_its_own_connections() {
    node_dies(|place| place.kill_node(3));
}

#[test]
fn a_node_that_loses_its_cable_takes_only_its_own_connections() {
    node_dies(|place| place.lab.set_cable("node-3", false));
}

#[test]
fn connections_to_a_dead_node_end_instead_of_hanging() {
    let (mut place, pods) = both_ways(Place::mortal(3));
    let to = SocketAddr::new(held(1)[0], 80);
    let handed = SocketAddr::new(held(2)[0], 80);
    let mut hanging: Vec<_> = [to, handed]
        .iter()
        .flat_map(|to| place.talk(*to, 30))
        .filter(|(_, node)| *node == 3)
        .collect();
    assert!(hanging.len() > 2, "{} of 60 are on node-3", hanging.len());
    place.kill_node(3);
    let left: Vec<_> = pods.iter().take(2).collect();
    place.set_pods(1, &left);
    place.set_pods(2, &left);
    for (talk, _) in &mut hanging {
        talk.set_patience(Duration::from_secs(60));
        let error = talk.ask().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
}

#[test]
fn a_killed_balancers_connections_go_on_and_so_do_new_ones() {
    let (mut place, _) = both_ways(Place::new(3));
    let addresses: Vec<SocketAddr> = [1, 2]
        .iter()
        .flat_map(|n| held(*n))
        .map(|a| SocketAddr::new(a, 80))
        .collect();
    let mut talks: Vec<_> = addresses
        .iter()
        .flat_map(|to| place.talk(*to, 12))
        .collect();
    place.kill_balancer();
    let ask_all = |place: &Place, talks: &mut Vec<(Conversation, u8)>| {
        talks
            .iter_mut()
            .for_each(|(talk, _)| drop(talk.ask().unwrap()));
        for to in &addresses {
            place.client().ask_tcp(*to).unwrap();
            place.client().ask_udp(*to).unwrap();
        }
    };
    ask_all(&place, &mut talks);
    place.start_balancer();
    // While it starts and adopts, nothing is lost, neither what goes on nor what is new.
    for _ in 0..40 {
        ask_all(&place, &mut talks);
        std::thread::sleep(Duration::from_millis(25));
    }
    // It works again: a change arrives.
    let pod = place.lab.start_pod(1, 9);
    place.serve(3, &[&pod], json!({}));
    place
        .client()
        .until(
            "the new balancer follows",
            "TCP",
            everywhere(3)[0].1,
            Result::is_ok,
        )
        .unwrap();
    ask_all(&place, &mut talks);
}

#[test]
fn a_killed_proxy_costs_no_connection() {
    let (mut place, _) = both_ways(Place::new(3));
    let addresses: Vec<SocketAddr> = [1, 2]
        .iter()
        .flat_map(|n| held(*n))
        .map(|a| SocketAddr::new(a, 80))
        .collect();
    let mut talks: Vec<_> = addresses
        .iter()
        .flat_map(|to| place.talk(*to, 12))
        .collect();
    place.kill_proxy(2);
    // Long enough for its checks to fail: new connections go elsewhere, and those it has stay.
    for _ in 0..60 {
        talks
            .iter_mut()
            .for_each(|(talk, _)| drop(talk.ask().unwrap()));
        addresses
            .iter()
            .for_each(|to| drop(place.client().ask_tcp(*to).unwrap()));
        std::thread::sleep(Duration::from_millis(25));
    }
    let handed = addresses[2];
    until("it fails its checks", || {
        place.talk(handed, 30).iter().all(|(_, node)| *node != 2)
    });
    place.start_proxy(2);
    until("the node takes part again", || {
        place.talk(handed, 30).iter().any(|(_, node)| *node == 2)
    });
    talks
        .iter_mut()
        .for_each(|(talk, _)| drop(talk.ask().unwrap()));
}

#[test]
fn a_drained_node_keeps_its_connections_and_comes_back() {
    let (place, _) = both_ways(Place::new(3));
    let addresses: Vec<SocketAddr> = [1, 2]
        .iter()
        .flat_map(|n| held(*n))
        .map(|a| SocketAddr::new(a, 80))
        .collect();
    let mut talks: Vec<_> = addresses
        .iter()
        .flat_map(|to| place.talk(*to, 12))
        .collect();
    for drain in [
        json!({"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}),
        json!({}),
    ] {
        let drained = drain != json!({});
        place
            .api
            .change("Node", "node-2", |node| node["spec"] = drain);
        for to in &addresses {
            until("the node leaves the ring or is back in it", || {
                place.talk(*to, 30).iter().any(|(_, node)| *node == 2) != drained
            });
        }
        talks
            .iter_mut()
            .for_each(|(talk, _)| drop(talk.ask().unwrap()));
    }
}
