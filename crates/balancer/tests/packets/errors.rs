//! ICMP errors and packets in pieces: whoever they are about gets them.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use kernel::conntrack::Conntrack;
use serde_json::json;
use testkit::lab::{Conversation, Lab, Pod};

use crate::place::{Place, everywhere, until};
use crate::raw::{Sender, TCP, UDP, Watcher, syn_in_pieces, too_big};

/// Three nodes with a pod each, behind Service 1 (translated), 2 (handed over) and 3 (handed over, with
/// affinity).
fn three_ways() -> (Place, Vec<Pod>) {
    let mut place = Place::new(3);
    let pods: Vec<_> = (1..=3).map(|n| place.lab.start_pod(n, 5)).collect();
    let all: Vec<_> = pods.iter().collect();
    place.serve(1, &all, json!({}));
    place.serve(2, &all, json!({"externalTrafficPolicy": "Local"}));
    let sticky = json!({"externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"});
    place.serve(3, &all, sticky);
    (1..=3).for_each(|n| place.wait_for(n));
    (place, pods)
}

fn number(protocol: &str) -> u8 {
    if protocol == "TCP" { TCP } else { UDP }
}

fn begin(place: &Place, protocol: &str, to: SocketAddr) -> Conversation {
    let client = place.client();
    match protocol {
        "TCP" => client.connect(to).unwrap(),
        _ => client.datagrams(to).unwrap(),
    }
}

#[test]
fn what_a_router_says_about_answers_reaches_the_pod_that_gave_them() {
    let (place, pods) = three_ways();
    let sender = Sender::in_namespace(place.lab.namespace("client"));
    for (protocol, to) in (1..=3).flat_map(everywhere) {
        for _ in 0..6 {
            let mut talk = begin(&place, protocol, to);
            let said = talk.ask().unwrap();
            let pod = pods.iter().find(|pod| pod.name == said.pod).unwrap();
            let own = pod.addresses[usize::from(to.is_ipv6())];
            let mut watcher = Watcher::in_namespace(place.lab.namespace(&pod.name));
            // A router near the client.
            let router = Lab::router_addresses()[usize::from(to.is_ipv6())];
            let error = too_big(router, number(protocol), to, talk.local());
            sender.send(to.ip(), &error);
            let what = format!("{protocol} {to}: {} is told", pod.name);
            let seen = watcher.until(&what, |seen| {
                seen.destination == own && seen.quoted().is_some()
            });
            let (from, client) = seen.quoted().unwrap();
            assert_eq!((from.ip(), client), (own, said.client), "{protocol} {to}");
        }
    }
}

#[test]
fn what_a_node_says_about_a_translated_connection_reaches_the_client() {
    let (place, _) = three_ways();
    for (protocol, to) in everywhere(1) {
        let mut talk = begin(&place, protocol, to);
        talk.ask().unwrap();
        let (ours, node) = translated(&place, number(protocol), talk.local());
        let number_of_node = (1..=3).find(|n| Lab::node_addresses(*n).contains(&node.ip()));
        let name = format!("node-{}", number_of_node.unwrap());
        let mut watcher = Watcher::in_namespace(place.lab.namespace("client"));
        let error = too_big(node.ip(), number(protocol), ours, node);
        Sender::in_namespace(place.lab.namespace(&name)).send(ours.ip(), &error);
        let quoted = Some((talk.local(), to));
        watcher.until(&format!("{protocol} {to}: the client is told"), |seen| {
            seen.destination == talk.local().ip() && seen.quoted() == quoted
        });
    }
}

/// The balancer's and the node's side of a translated connection.
fn translated(place: &Place, protocol: u8, client: SocketAddr) -> (SocketAddr, SocketAddr) {
    let listed = || Conntrack::open().unwrap().connections(protocol).unwrap();
    let connections = place.lab.namespace("balancer").run(listed).unwrap();
    let found = connections.iter().find(|c| c.original.source == client);
    let reply = found.unwrap().reply;
    (reply.destination, reply.source)
}

#[test]
fn without_endpoints_the_client_is_told_at_once() {
    let (place, _) = three_ways();
    place.set_pods(1, &[]);
    for (protocol, to) in everywhere(1) {
        // Here a refusal comes back before `connect` has let go of its socket, which then does not take it; so the
        // client has the patience for a second SYN.
        until("the client is refused", || {
            let error = place.client().ask(protocol, to).err();
            error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
    }
}

#[test]
fn datagrams_in_pieces_arrive_whole() {
    let (place, _) = three_ways();
    let client = place.lab.namespace("client").clone();
    for (protocol, to) in (1..=3).flat_map(everywhere) {
        if protocol == "TCP" {
            continue;
        }
        for _ in 0..6 {
            let any = SocketAddr::new(unspecified(to.ip()), 0);
            let socket = client.run(|| UdpSocket::bind(any)).unwrap().unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            socket.connect(to).unwrap();
            socket.send(&[b'x'; 4000]).unwrap();
            let mut answer = [0; 512];
            let length = socket
                .recv(&mut answer)
                .unwrap_or_else(|error| panic!("{to}: {error}"));
            assert!(answer[..length].starts_with(b"pod="), "{to}");
        }
    }
}

#[test]
fn connections_in_pieces_begin_on_one_node() {
    let (place, _) = three_ways();
    let namespace = place.lab.namespace("client");
    let sender = Sender::in_namespace(namespace);
    for (protocol, to) in (1..=3).flat_map(everywhere) {
        if protocol == "UDP" {
            continue;
        }
        for port in 2000..2006 {
            let own = SocketAddr::new(Lab::client_addresses()[usize::from(to.is_ipv6())], port);
            let mut watcher = Watcher::in_namespace(namespace);
            for piece in syn_in_pieces(own, to) {
                sender.send(to.ip(), &piece);
            }
            watcher.until(&format!("{to}: the SYN in pieces is answered"), |seen| {
                let ports = [to.port().to_be_bytes(), port.to_be_bytes()].concat();
                let answer = seen.protocol == TCP && seen.source == to.ip();
                // SYN and ACK.
                answer && seen.payload.starts_with(&ports) && seen.payload[13] == 0x12
            });
        }
    }
}

fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => [0, 0, 0, 0].into(),
        IpAddr::V6(_) => [0_u16; 8].into(),
    }
}
