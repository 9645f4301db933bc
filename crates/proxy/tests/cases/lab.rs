//! One node between its pods and the world: three namespaces, none with a way out.
//!
//! ```text
//! pods ── pod0 ─ node ─ out0 ── outside
//! ```
//!
//! Packets are injected as raw IP, whatever their source, in the namespace they would come from,
//! and watched where they come out. Neighbours are fixed, so nobody needs to answer.

use super::packet::{self, Arrived};
use forwarding::{Node, Packet};
use ipnet::IpNet;
use kernel::netlink::{Route, VethEnd};
use kernel::{NetNs, Netlink, sysctl};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A node and its two sides.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) node: NetNs,
    places: [Place; 3],
    node_addresses: Vec<IpAddr>,
    pods: Vec<IpNet>,
    next_number: u32,
}

/// Where packets are injected and watched.
struct Place {
    senders: [Socket; 2],
    watchers: [Socket; 2],
}

const NODE: usize = 0;
const PODS: usize = 1;
const OUTSIDE: usize = 2;

impl Lab {
    pub(crate) fn new(node: &Node, node_number: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let create = |name: &str| NetNs::create(&folder.path().join(name)).unwrap();
        let namespaces = [create("node"), create("pods"), create("outside")];
        let n = node_number;
        let pods: Vec<IpNet> = vec![
            format!("10.0.{n}.0/24").parse().unwrap(),
            format!("fd00:10:0:{n}::/64").parse().unwrap(),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(connect(&namespaces, node, &pods));
        let places = [&namespaces[0], &namespaces[1], &namespaces[2]].map(Place::in_namespace);
        let [node_namespace, ..] = namespaces;
        Self {
            folder,
            node: node_namespace,
            places,
            node_addresses: node.local_addresses.clone(),
            pods,
            next_number: 0,
        }
    }

    /// Sends a burst of like packets, each from a port of its own, and gathers what comes of them: as much as was
    /// sent, or what has come when the patience is at its end.
    pub(crate) fn send(&mut self, packet: &Packet, count: u32, patience: Duration) -> Vec<Arrived> {
        let place = if self.node_addresses.contains(&packet.source) {
            NODE
        } else if self.pods.iter().any(|pods| pods.contains(&packet.source)) {
            PODS
        } else {
            OUTSIDE
        };
        let first = self.next_number + 1;
        for number in first..first + count {
            let source_port = 20_000 + u16::try_from(number % 40_000).unwrap();
            let bytes = packet::bytes(packet, number, source_port);
            self.places[place].send(packet.destination, &bytes);
        }
        self.next_number += count;
        self.gather(first, count, place, patience)
    }

    fn gather(&self, first: u32, count: u32, sent_from: usize, patience: Duration) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        let deadline = Instant::now() + patience;
        while arrived.len() < count as usize && Instant::now() < deadline {
            let before = arrived.len();
            for (place, watched) in self.places.iter().enumerate() {
                let news = watched.watch().into_iter().filter(|arrived| match arrived {
                    Arrived::Ours { number, .. } => *number >= first && place != NODE,
                    // A refusal must come back to who sent.
                    Arrived::Refusal { number } => *number >= first && place == sent_from,
                });
                arrived.extend(news);
            }
            if arrived.len() == before {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        arrived
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in ["node", "pods", "outside"] {
            NetNs::delete(&PathBuf::from(self.folder.path()).join(name)).ok();
        }
    }
}

impl Place {
    fn in_namespace(namespace: &NetNs) -> Self {
        // ETH_P_IP and ETH_P_IPV6: sockets for one protocol do not see what leaves.
        let watcher = |protocol: u16| {
            let protocol = Protocol::from(i32::from(protocol.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.set_recv_buffer_size(4 << 20).unwrap();
            socket
        };
        // IPPROTO_RAW: the header is ours.
        let sender = |domain| Socket::new(domain, Type::RAW, Some(Protocol::from(255))).unwrap();
        namespace
            .run(|| Place {
                senders: [sender(Domain::IPV4), sender(Domain::IPV6)],
                watchers: [watcher(0x0800), watcher(0x86dd)],
            })
            .unwrap()
    }

    fn send(&self, destination: IpAddr, bytes: &[u8]) {
        let sender = &self.senders[usize::from(destination.is_ipv6())];
        let to = SockAddr::from(SocketAddr::new(destination, 0));
        // A packet that our own rules drop on its way out is reported as not permitted.
        match sender.send_to(bytes, &to) {
            Ok(_) => (),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => (),
            Err(error) => eprintln!("not sent to {destination}: {error}"),
        }
    }

    fn watch(&self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        for mut watcher in &self.watchers {
            let mut buffer = [0; 2048];
            while let Ok(length) = watcher.read(&mut buffer) {
                arrived.extend(packet::read(&buffer[..length]));
            }
        }
        arrived
    }
}

async fn connect(namespaces: &[NetNs; 3], node: &Node, pods: &[IpNet]) {
    let [inside, pod_side, outside] = namespaces;
    let settings = [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
        ("net/ipv4/conf/all/send_redirects", "0"),
        ("net/ipv4/conf/default/send_redirects", "0"),
        // Refusals are what is asked about, so none may be held back.
        ("net/ipv4/icmp_ratelimit", "0"),
        ("net/ipv6/icmp/ratelimit", "0"),
    ];
    sysctl::set_in(inside, &settings).unwrap();
    // Before Linux 6.12 this limit is the machine's, and a burst is asked about again.
    for limit in ["net/ipv4/icmp_msgs_per_sec", "net/ipv4/icmp_msgs_burst"] {
        sysctl::set_in(inside, &[(limit, "1000000")]).ok();
    }
    for namespace in [pod_side, outside] {
        sysctl::set_in(namespace, &[("net/ipv4/conf/all/rp_filter", "0")]).unwrap();
    }
    let here = Netlink::in_namespace(inside).unwrap();
    let lo = here.link("lo").await.unwrap().index;
    here.set_up(lo, true).await.unwrap();
    for (near, peer) in [("out0", outside), ("pod0", pod_side)] {
        here.add_veth(&VethEnd::named(near), &VethEnd::named("eth0"), peer)
            .await
            .unwrap();
        let there = Netlink::in_namespace(peer).unwrap();
        let far = there.link("eth0").await.unwrap();
        let own = there.link("lo").await.unwrap().index;
        there.set_up(own, true).await.unwrap();
        there.set_up(far.index, true).await.unwrap();
        let near = here.link(near).await.unwrap();
        point_at(&there, far.index, &near, "169.254.0.1", "fe80::1").await;
        let gateways = (ip("169.254.0.2"), ip("fe80::2"));
        here.set_neighbour(near.index, gateways.0, far.mac.unwrap())
            .await
            .unwrap();
        here.set_neighbour(near.index, gateways.1, far.mac.unwrap())
            .await
            .unwrap();
    }
    let out = here.link("out0").await.unwrap().index;
    for address in &node.local_addresses {
        here.set_address(out, IpNet::from(*address)).await.unwrap();
    }
    for gateway in ["169.254.0.2", "fe80::2"] {
        let route = Route {
            onlink: true,
            ..Route::default_via(ip(gateway), out)
        };
        here.set_route(&route).await.unwrap();
    }
    let pod = here.link("pod0").await.unwrap().index;
    for (range, gateway) in pods.iter().zip(["169.254.0.2", "fe80::2"]) {
        let route = Route {
            onlink: true,
            ..Route::via(*range, ip(gateway), pod)
        };
        here.set_route(&route).await.unwrap();
    }
}

/// Everything leaves a side towards the node.
async fn point_at(side: &Netlink, link: u32, near: &kernel::netlink::Link, v4: &str, v6: &str) {
    side.set_address(link, "169.254.0.2/32".parse().unwrap())
        .await
        .unwrap();
    for gateway in [v4, v6] {
        side.set_neighbour(link, ip(gateway), near.mac.unwrap())
            .await
            .unwrap();
        let route = Route {
            onlink: true,
            ..Route::default_via(ip(gateway), link)
        };
        side.set_route(&route).await.unwrap();
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
