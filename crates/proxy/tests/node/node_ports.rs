//! Where node ports are open (service-semantics 4.6). The cases say what happens to packets there.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};

use proxy::NodePortAddresses;
use serde_json::json;
use testkit::lab::{Dialler, Lab};

use crate::place::{Place, until};

const PORT: u16 = 30080;

fn answers(from: &Dialler, address: IpAddr) -> bool {
    let said = from.impatient().ask_tcp(SocketAddr::new(address, PORT));
    match said {
        Ok(said) => said.pod.starts_with("pod-"),
        Err(error) => {
            let refused = error.kind() == ErrorKind::ConnectionRefused;
            assert!(refused, "{address}: {error}");
            false
        }
    }
}

#[test]
fn node_ports_are_at_the_nodes_own_address_and_win_over_its_processes() {
    let mut place = Place::new(1);
    let pod = place.lab.start_pod(1, 5);
    let second = place.lab.add_address("node-1", 77);
    let node = place.lab.namespace("node-1").clone();
    // A process of the node listens there, at every address, and is never asked.
    let everywhere = SocketAddr::from(([0_u16; 8], PORT));
    let process = node.run(|| TcpListener::bind(everywhere)).unwrap().unwrap();
    process.set_nonblocking(true).unwrap();
    place.serve(&[&pod], &json!({}));
    let client = place.lab.dialler("client");
    for address in Lab::node_addresses(1) {
        let to = SocketAddr::new(address, PORT);
        let said = client.until("a pod answers", "TCP", to, |said| {
            said.as_ref().is_ok_and(|said| said.pod == pod.name)
        });
        assert!(said.is_ok());
    }
    while process.accept().is_ok() {}
    for from in ["client", "node-1"].map(|name| place.lab.dialler(name)) {
        for address in Lab::node_addresses(1) {
            assert!(answers(&from, address), "{address}");
        }
    }
    let error = process.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "the pod was asked");
    drop(process);
    // Neither at another address nor on loopback.
    let inside = place.lab.dialler("node-1");
    for address in second {
        assert!(!answers(&client, address), "{address}");
    }
    for address in ["127.0.0.1", "::1"] {
        assert!(!answers(&inside, address.parse().unwrap()), "{address}");
    }
}

#[test]
fn ranges_choose_where_node_ports_are_open_and_a_family_without_any_has_all() {
    let mut place = Place::with(1, |config| {
        let range = "198.18.0.64/26".parse().unwrap();
        config.node_port_addresses = NodePortAddresses::Within(vec![range]);
    });
    let pod = place.lab.start_pod(1, 5);
    let second = place.lab.add_address("node-1", 77);
    // The node's addresses are read now and then; a new proxy reads them at once.
    place.kill_proxy(1);
    place.start_proxy(1);
    let spec = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 32080});
    place.serve(&[&pod], &spec);
    let client = place.lab.dialler("client");
    let first = Lab::node_addresses(1);
    for address in [second[0], first[1], second[1]] {
        until("the node port is open", || answers(&client, address));
        until("so is the health-check node port", || {
            let health = client.get(SocketAddr::new(address, 32080), "/");
            health.is_ok_and(|(status, _)| status == 200)
        });
    }
    assert!(!answers(&client, first[0]), "not in the range");
    let health = client.get(SocketAddr::new(first[0], 32080), "/");
    assert_eq!(health.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
