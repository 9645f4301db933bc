//! A network of namespaces for real packets, with no way out:
//!
//! ```text
//! client ── lan0 ── balancer
//!             │
//!    node-1, node-2, …  each with its pods
//! ```
//!
//! The LAN is 198.18.0.0/24 and fd46::/64, with 198.18.1.0/24 and fd46:1::/64 on it as the balancer's pool;
//! pods are 10.244.N.0/24 and fd00:10:0:N::/64 on node N. The client has no default route. Everything ends
//! with the [`Lab`].

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ipnet::IpNet;
use kernel::netlink::{Mac, Route, VethEnd};
use kernel::{NetNs, Netlink, sysctl};

mod dial;
mod pods;
mod role;

pub use dial::{Conversation, Dialler, Said};
pub use pods::Pod;
pub use role::Role;

const BRIDGE: &str = "lan0";
const LINK: &str = "eth0";
const LOOPBACK: u32 = 1;
/// Numbers on the LAN.
const LAN: u8 = 1;
const BALANCER: u8 = 3;
const CLIENT: u8 = 4;
const FIRST_NODE: u8 = 10;

/// The network, as long as it lives.
pub struct Lab {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    namespaces: BTreeMap<String, NetNs>,
    nodes: u8,
    echoes: BTreeMap<String, Child>,
}

impl Lab {
    /// A LAN with a client, a place for a balancer, and so many nodes.
    pub fn new(nodes: u8) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }
            .enable_all()
            .build()
            .expect("a runtime can be had");
        let mut lab = Self {
            folder: tempfile::tempdir().expect("a folder for the test can be made"),
            runtime,
            namespaces: BTreeMap::new(),
            nodes,
            echoes: BTreeMap::new(),
        };
        let program = lab.program();
        fs::write(&program, kernel::echo::PROGRAM).expect("the echo program can be written");
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755))
            .expect("and made executable");
        lab.make_lan();
        lab.join("balancer", BALANCER);
        lab.join("client", CLIENT);
        (1..=nodes).for_each(|n| lab.start_node(n));
        lab
    }

    /// A namespace by its name: `lan`, `client`, `balancer`, `node-1`…
    pub fn namespace(&self, name: &str) -> &NetNs {
        self.namespaces
            .get(name)
            .unwrap_or_else(|| panic!("the lab has no {name}"))
    }

    /// A place to dial from, by its name.
    pub fn dialler(&self, name: &str) -> Dialler {
        Dialler::new(self.namespace(name).clone())
    }

    /// The addresses of a node on the LAN.
    pub fn node_addresses(n: u8) -> [IpAddr; 2] {
        addresses(FIRST_NODE + n)
    }

    /// The balancer's own addresses.
    pub fn balancer_addresses() -> [IpAddr; 2] {
        addresses(BALANCER)
    }

    /// The addresses of the LAN itself: those of a router, say.
    pub fn router_addresses() -> [IpAddr; 2] {
        addresses(LAN)
    }

    /// The client's addresses. More can be had by [`Lab::add_client_address`].
    pub fn client_addresses() -> [IpAddr; 2] {
        addresses(CLIENT)
    }

    /// A further address of the client, both families: numbers from 100 on are free.
    pub fn add_client_address(&self, number: u8) -> [IpAddr; 2] {
        self.add_address("client", number)
    }

    /// A further address of a member of the LAN, both families.
    pub fn add_address(&self, member: &str, number: u8) -> [IpAddr; 2] {
        self.runtime.block_on(async {
            let netlink = self.netlink(member);
            let link = netlink.link(LINK).await.expect("a member has a link").index;
            for address in addresses(number) {
                set_address(&netlink, link, on_lan(address)).await;
            }
        });
        addresses(number)
    }

    /// The Node object of a node.
    pub fn node_object(n: u8) -> serde_json::Value {
        let list: Vec<_> = Self::node_addresses(n)
            .iter()
            .map(|address| serde_json::json!({"type": "InternalIP", "address": address}))
            .collect();
        serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{n}")},
            "spec": {}, "status": {"addresses": list}})
    }

    /// Takes a member's cable out, or puts it back: it falls silent, but everything in it goes on.
    pub fn set_cable(&self, member: &str, plugged: bool) {
        self.runtime.block_on(async {
            let lan = self.netlink("lan");
            let port = lan
                .link(member)
                .await
                .expect("every member has a port")
                .index;
            lan.set_up(port, plugged)
                .await
                .expect("a port can be taken up and down");
        });
    }

    /// Makes a member take `mac` for the holder of these addresses, as if it had met it there.
    pub fn believe(&self, member: &str, addresses: [IpAddr; 2], mac: &str) {
        for address in addresses {
            let mut ip = Command::new("ip");
            ip.args([
                "neighbour",
                "replace",
                &address.to_string(),
                "lladdr",
                mac,
                "dev",
                LINK,
                "nud",
                "stale",
            ]);
            let status = self
                .spawn(member, &mut ip)
                .wait()
                .expect("the ip program ends");
            assert!(status.success(), "ip neighbour replace {address}");
        }
    }

    /// Makes a node's namespace, and the routes to its pods on the others.
    fn start_node(&mut self, n: u8) {
        let name = format!("node-{n}");
        self.join(&name, FIRST_NODE + n);
        self.runtime.block_on(async {
            for other in (1..=self.nodes).filter(|other| *other != n) {
                let netlink = self.netlink(&name);
                let link = netlink.link(LINK).await.expect("a node has a link").index;
                for (range, via) in pods::ranges(other).iter().zip(Self::node_addresses(other)) {
                    let route = Route::via(*range, via, link);
                    netlink.set_route(&route).await.expect("a route to pods");
                }
            }
        });
    }

    fn make_lan(&mut self) {
        let namespace = self.create("lan");
        self.runtime.block_on(async {
            let lan = Netlink::in_namespace(&namespace).expect("netlink in the LAN");
            lan.set_up(LOOPBACK, true).await.expect("a loopback");
            lan.add_bridge(BRIDGE).await.expect("a bridge");
            let bridge = lan.link(BRIDGE).await.expect("the bridge just made").index;
            for address in addresses(LAN) {
                set_address(&lan, bridge, on_lan(address)).await;
            }
        });
    }

    /// Makes a member of the LAN.
    fn join(&mut self, name: &str, number: u8) {
        let namespace = self.create(name);
        self.runtime.block_on(async {
            let lan = self.netlink("lan");
            let bridge = lan.link(BRIDGE).await.expect("the LAN has a bridge").index;
            let near = VethEnd {
                bridge: Some(bridge),
                ..VethEnd::named(name)
            };
            let mac: Mac = [2, 0xfa, 0, 0, 0, number];
            let far = VethEnd {
                mac: Some(mac),
                ..VethEnd::named(LINK)
            };
            lan.add_veth(&near, &far, &namespace)
                .await
                .expect("a cable");
            let member = self.netlink(name);
            member.set_up(LOOPBACK, true).await.expect("a loopback");
            let link = member.link(LINK).await.expect("the link just made").index;
            member.set_up(link, true).await.expect("a link that is up");
            for address in addresses(number) {
                set_address(&member, link, on_lan(address)).await;
            }
            for pool in ["198.18.1.0/24", "fd46:1::/64"] {
                let pool = pool.parse().expect("a range");
                member
                    .set_route(&Route::on_link(pool, link))
                    .await
                    .expect("a route to the pool");
            }
        });
    }

    fn create(&mut self, name: &str) -> NetNs {
        let namespace =
            NetNs::create(&self.path(name)).expect("tests that make namespaces run as root");
        sysctl::set_in(&namespace, &settings()).expect("settings of a new namespace");
        self.namespaces.insert(name.to_owned(), namespace.clone());
        namespace
    }

    fn netlink(&self, name: &str) -> Netlink {
        let _inside = self.runtime.enter();
        Netlink::in_namespace(self.namespace(name)).expect("netlink in a namespace of the lab")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.path("echo")
    }

    /// Starts a program inside a member; ending it is the caller's.
    pub fn spawn(&self, member: &str, command: &mut Command) -> Child {
        let command = command.stdin(Stdio::null());
        let started = self.namespace(member).run(|| command.spawn());
        let started = started.expect("a namespace of the lab can be entered");
        started.expect("the program can be started")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for child in self.echoes.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
        for name in self.namespaces.keys() {
            NetNs::delete(&self.path(name)).ok();
        }
    }
}

fn addresses(number: u8) -> [IpAddr; 2] {
    [
        IpAddr::from([198, 18, 0, number]),
        IpAddr::from([0xfd46, 0, 0, 0, 0, 0, 0, u16::from(number)]),
    ]
}

fn on_lan(address: IpAddr) -> IpNet {
    let length = if address.is_ipv4() { 24 } else { 64 };
    IpNet::new(address, length).expect("a prefix length that fits")
}

async fn set_address(netlink: &Netlink, link: u32, address: IpNet) {
    netlink
        .set_address(link, address)
        .await
        .expect("an address for a link");
}

/// As a cluster's namespaces have them: forwarding, and nobody is told of shorter ways.
fn settings() -> Vec<(String, &'static str)> {
    let mut settings = vec![
        ("net/ipv4/ip_forward".to_owned(), "1"),
        ("net/ipv4/ping_group_range".to_owned(), "0 2147483647"),
        ("net/ipv6/conf/all/forwarding".to_owned(), "1"),
        ("net/ipv6/conf/default/forwarding".to_owned(), "1"),
    ];
    for scope in ["all", "default"] {
        for (name, value) in [
            ("rp_filter", "0"),
            ("send_redirects", "0"),
            ("accept_redirects", "0"),
            ("arp_ignore", "1"),
        ] {
            settings.push((format!("net/ipv4/conf/{scope}/{name}"), value));
        }
        for (name, value) in [
            ("disable_ipv6", "0"),
            ("accept_ra", "0"),
            ("accept_dad", "0"),
            ("dad_transmits", "0"),
            ("accept_redirects", "0"),
        ] {
            settings.push((format!("net/ipv6/conf/{scope}/{name}"), value));
        }
    }
    settings
}
