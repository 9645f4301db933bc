//! Namespaces and what is put into them, against the real kernel. They need root; each test has a
//! folder of its own and takes its namespaces away, also when it fails.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use kernel::netlink::{Route, VethEnd, everything};
use kernel::{NetNs, Netlink, mount, socket, sysctl};

/// A folder for namespaces that disappears with them.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn namespace(&self, name: &str) -> NetNs {
        NetNs::create(&self.path(name)).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for point in mount::below(self.folder.path()).unwrap_or_default() {
            NetNs::delete(&point).ok();
        }
    }
}

async fn joined(lab: &Lab) -> (NetNs, NetNs) {
    let (left, right) = (lab.namespace("left"), lab.namespace("right"));
    let netlink = Netlink::in_namespace(&left).unwrap();
    let near = VethEnd {
        mac: Some([2, 0, 0, 0, 0, 1]),
        ..VethEnd::named("near0")
    };
    netlink
        .add_veth(&near, &VethEnd::named("eth0"), &right)
        .await
        .unwrap();
    for (namespace, link, addresses) in [
        (&left, "near0", ["198.51.100.1/24", "fd00:9::1/64"]),
        (&right, "eth0", ["198.51.100.2/24", "fd00:9::2/64"]),
    ] {
        let netlink = Netlink::in_namespace(namespace).unwrap();
        let index = netlink.link(link).await.unwrap().index;
        netlink.set_up(index, true).await.unwrap();
        for address in addresses {
            netlink
                .set_address(index, address.parse().unwrap())
                .await
                .unwrap();
        }
    }
    (left, right)
}

#[tokio::test]
async fn packets_cross_a_pair_made_straight_into_another_namespace() {
    let lab = Lab::new();
    let (left, right) = joined(&lab).await;
    for address in ["198.51.100.2:80", "[fd00:9::2]:80"] {
        let address = address.parse().unwrap();
        let listener = socket::listen_tcp_in(&right, address).unwrap();
        socket::connect_tcp_in(&left, address, Duration::from_secs(5)).unwrap();
        assert!(
            tokio::net::TcpListener::from_std(listener)
                .unwrap()
                .accept()
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn what_is_set_twice_is_there_once_and_deleting_twice_is_no_error() {
    let lab = Lab::new();
    let (left, _right) = joined(&lab).await;
    let netlink = Netlink::in_namespace(&left).unwrap();
    let link = netlink.link("near0").await.unwrap();
    assert_eq!(link.mac, Some([2, 0, 0, 0, 0, 1]));
    let address = "198.51.100.1/24".parse().unwrap();
    netlink.set_address(link.index, address).await.unwrap();
    let held = netlink.addresses(link.index).await.unwrap();
    assert_eq!(held.iter().filter(|held| **held == address).count(), 1);

    let neighbour: IpAddr = "198.51.100.9".parse().unwrap();
    for _ in 0..2 {
        netlink
            .set_neighbour(link.index, neighbour, [2, 0, 0, 0, 0, 9])
            .await
            .unwrap();
    }
    assert!(
        netlink
            .delete_neighbour(link.index, neighbour)
            .await
            .unwrap()
    );
    assert!(
        !netlink
            .delete_neighbour(link.index, neighbour)
            .await
            .unwrap()
    );
    assert!(netlink.delete_address(link.index, address).await.unwrap());
    assert!(!netlink.delete_address(link.index, address).await.unwrap());
    assert!(netlink.delete_link("near0").await.unwrap());
    assert!(!netlink.delete_link("near0").await.unwrap());
    assert!(netlink.find_link("near0").await.unwrap().is_none());
}

#[tokio::test]
async fn routes_of_every_form_are_set_listed_and_deleted() {
    let lab = Lab::new();
    let (left, _right) = joined(&lab).await;
    let netlink = Netlink::in_namespace(&left).unwrap();
    let link = netlink.link("near0").await.unwrap().index;
    let routes = [
        Route::on_link("203.0.113.0/25".parse().unwrap(), link),
        Route::on_link("fd00:a::7/128".parse().unwrap(), link),
        Route::via(
            "203.0.113.128/25".parse().unwrap(),
            "198.51.100.2".parse().unwrap(),
            link,
        ),
        Route {
            onlink: true,
            ..Route::default_via("169.254.1.1".parse().unwrap(), link)
        },
        Route::default_via("fe80::1".parse().unwrap(), link),
        Route::unreachable("10.0.0.0/8".parse().unwrap()),
    ];
    for route in routes.iter().chain(&routes) {
        netlink.set_route(route).await.unwrap();
    }
    let listed = netlink.routes().await.unwrap();
    for route in &routes {
        assert_eq!(
            listed.iter().filter(|other| *other == route).count(),
            1,
            "{route:?}"
        );
        assert!(netlink.delete_route(route).await.unwrap(), "{route:?}");
        assert!(!netlink.delete_route(route).await.unwrap(), "{route:?}");
    }
    let left_over = netlink.routes().await.unwrap();
    assert!(
        left_over
            .iter()
            .all(|route| route.destination != everything(true))
    );
}

#[tokio::test]
async fn a_bridge_carries_frames_between_its_ports() {
    let lab = Lab::new();
    let lan = lab.namespace("lan");
    let netlink = Netlink::in_namespace(&lan).unwrap();
    netlink.add_bridge("bridge").await.unwrap();
    let bridge = netlink.link("bridge").await.unwrap().index;
    let mut namespaces = Vec::new();
    for number in 1..=2 {
        let namespace = lab.namespace(&format!("node-{number}"));
        let port = VethEnd {
            bridge: Some(bridge),
            ..VethEnd::named(&format!("port{number}"))
        };
        netlink
            .add_veth(&port, &VethEnd::named("eth0"), &namespace)
            .await
            .unwrap();
        assert_eq!(netlink.link(&port.name).await.unwrap().bridge, Some(bridge));
        let inside = Netlink::in_namespace(&namespace).unwrap();
        let index = inside.link("eth0").await.unwrap().index;
        inside.set_up(index, true).await.unwrap();
        inside
            .set_address(index, format!("198.51.100.{number}/24").parse().unwrap())
            .await
            .unwrap();
        namespaces.push(namespace);
    }
    let address = "198.51.100.2:80".parse().unwrap();
    let _listener = socket::listen_tcp_in(&namespaces[1], address).unwrap();
    socket::connect_tcp_in(&namespaces[0], address, Duration::from_secs(5)).unwrap();
}

#[test]
fn a_setting_holds_in_its_namespace_only() {
    let lab = Lab::new();
    let (one, two) = (lab.namespace("one"), lab.namespace("two"));
    sysctl::set_in(&one, &[("net/ipv4/ip_forward", "1")]).unwrap();
    sysctl::set_in(&two, &[("net/ipv4/ip_forward", "0")]).unwrap();
    let read = |namespace: &NetNs| namespace.run(|| sysctl::get("net/ipv4/ip_forward").unwrap());
    assert_eq!(read(&one).unwrap(), "1");
    assert_eq!(read(&two).unwrap(), "0");
    let error = sysctl::set_in(&one, &[("net/ipv4/no_such_thing", "1")]).unwrap_err();
    assert!(error.to_string().contains("net/ipv4/no_such_thing"));
}

#[test]
fn a_namespace_ends_with_its_name_and_a_thread_that_visited_is_gone() {
    let lab = Lab::new();
    let before = NetNs::current().unwrap().inode().unwrap();
    let namespace = lab.namespace("short");
    assert!(NetNs::create(&lab.path("short")).is_err());
    let inside = namespace
        .run(|| NetNs::current().unwrap().inode().unwrap())
        .unwrap();
    assert_eq!(inside, namespace.inode().unwrap());
    assert_ne!(inside, before);
    assert_eq!(NetNs::current().unwrap().inode().unwrap(), before);
    assert!(NetNs::delete(&lab.path("short")).unwrap());
    assert!(!NetNs::delete(&lab.path("short")).unwrap());
    assert!(!lab.path("short").exists());
}

#[tokio::test]
async fn a_neighbour_learns_the_new_holder_of_an_announced_address() {
    let lab = Lab::new();
    let (left, right) = joined(&lab).await;
    let (near, taker) = (Netlink::in_namespace(&left).unwrap(), [2, 0, 0, 0, 0, 0x99]);
    let near = near.link("near0").await.unwrap();
    for (holder, listener) in [
        ("198.51.100.1", "198.51.100.2:80"),
        ("fd00:9::1", "[fd00:9::2]:80"),
    ] {
        let holder: IpAddr = holder.parse().unwrap();
        let listener = listener.parse().unwrap();
        let _listens = socket::listen_tcp_in(&right, listener).unwrap();
        socket::connect_tcp_in(&left, listener, Duration::from_secs(5)).unwrap();
        assert_eq!(known(&right, holder).await, near.mac);
        left.run(|| kernel::announce::announce(near.index, taker, holder))
            .unwrap()
            .unwrap();
        for _ in 0..200 {
            if known(&right, holder).await == Some(taker) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(known(&right, holder).await, Some(taker));
    }
}

async fn known(namespace: &NetNs, address: IpAddr) -> Option<[u8; 6]> {
    let neighbours = Netlink::in_namespace(namespace)
        .unwrap()
        .neighbours()
        .await
        .unwrap();
    neighbours
        .into_iter()
        .find(|other| other.address == address)
        .map(|other| other.mac)
}
