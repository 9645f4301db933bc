//! The plan of a cluster: which namespaces there are, how they hang on the LAN, which routes each
//! has, and which roles run in them. Pure: the same place and settings give the same plan, so that
//! a launcher that starts again, and `down`, know what must be there without being told.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::argv;
use crate::options::{FIRST_NODE, Settings};
use crate::place::Place;
use crate::sysctls::{self, Sysctl};

/// The namespace that holds the LAN's bridge.
pub(crate) const LAN: &str = "lan";
/// The bridge in it.
pub(crate) const BRIDGE: &str = "lan0";
/// Every member's link on the LAN.
pub(crate) const LINK: &str = "eth0";
/// The external load balancer: a namespace and a role.
pub(crate) const BALANCER: &str = "balancer";
/// A client outside the cluster: a namespace without a role.
pub(crate) const CLIENT: &str = "client";
/// The API server: a role on the host.
pub(crate) const SERVER: &str = "server";

/// The numbers on the LAN of those that are not nodes.
const LAN_NUMBER: u32 = 1;
const HOST_NUMBER: u32 = 2;
const BALANCER_NUMBER: u32 = 3;
const CLIENT_NUMBER: u32 = 4;

/// A cluster's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The LAN itself.
    pub lan: Lan,
    /// The host's side.
    pub host: Host,
    /// Everyone on the LAN: the balancer, the client, the nodes.
    pub members: Vec<Member>,
    /// The processes, the API server first.
    pub roles: Vec<RoleSpec>,
    /// The cluster's cgroup; each role has one below it.
    pub cgroup: PathBuf,
}

/// The namespace with the bridge. The API server's second listeners are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lan {
    /// Its file.
    pub namespace: PathBuf,
    /// The bridge's addresses; the members' default routers.
    pub addresses: Vec<IpNet>,
    /// Its settings.
    pub sysctls: Vec<Sysctl>,
}

/// The host's way to the LAN: one link, and the routes over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The link's name on the host.
    pub link: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its addresses; they bring the routes to the LAN.
    pub addresses: Vec<IpNet>,
    /// The ranges reached over it: the load balancer's pools.
    pub on_link: Vec<IpNet>,
}

/// A namespace on the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `balancer`, `client`, `node-1` …
    pub name: String,
    /// Its file.
    pub namespace: PathBuf,
    /// The name of its port on the bridge.
    pub port: String,
    /// The hardware address of its link: fixed, so that nobody holds a stale one when a node comes back.
    pub mac: [u8; 6],
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// The ranges it finds on the LAN itself.
    pub on_link: Vec<IpNet>,
    /// Its default routers.
    pub routers: Vec<IpAddr>,
    /// Its settings.
    pub sysctls: Vec<Sysctl>,
}

/// A process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSpec {
    /// `server`, `balancer`, `node-1` …
    pub name: String,
    /// What follows the program's name.
    pub arguments: Vec<OsString>,
    /// Its cgroup; it starts in the leaf `agent` of it.
    pub cgroup: PathBuf,
    /// Appears when it is ready.
    pub ready_file: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// Folders that must exist before it starts.
    pub folders: Vec<PathBuf>,
}

impl Layout {
    /// The plan for a cluster; `cgroups` is where the version 2 hierarchy is mounted.
    #[must_use]
    pub fn plan(place: &Place, settings: &Settings, cgroups: &Path) -> Self {
        let cgroup = cgroups.join(place.cgroup_name());
        let mut members = vec![
            member(place, settings, BALANCER, BALANCER_NUMBER),
            member(place, settings, CLIENT, CLIENT_NUMBER),
        ];
        members[0].sysctls = sysctls::of_all(true);
        members.extend((0..settings.nodes).map(|number| node(place, settings, number)));
        let mut layout = Self {
            lan: lan(place, settings),
            host: host(place, settings),
            members,
            roles: Vec::new(),
            cgroup,
        };
        layout.roles = argv::roles(place, settings, &layout);
        layout
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The nodes among the members.
    pub fn nodes(&self) -> impl Iterator<Item = &Member> {
        self.members
            .iter()
            .filter(|member| member.name != BALANCER && member.name != CLIENT)
    }

    /// The names of all namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        std::iter::once(LAN).chain(self.members.iter().map(|member| member.name.as_str()))
    }
}

impl RoleSpec {
    /// Where the role's own process is; what it starts goes beside it.
    #[must_use]
    pub fn leaf(&self) -> PathBuf {
        self.cgroup.join("agent")
    }
}

fn lan(place: &Place, settings: &Settings) -> Lan {
    Lan {
        namespace: place.namespace(LAN),
        addresses: addresses(settings, LAN_NUMBER),
        // It forwards nowhere, but only a router tells senders that there is no way.
        sysctls: sysctls::of_all(true),
    }
}

fn host(place: &Place, settings: &Settings) -> Host {
    Host {
        link: place.host_link(),
        mac: mac(HOST_NUMBER),
        addresses: addresses(settings, HOST_NUMBER),
        on_link: settings.load_balancer_pools.clone(),
    }
}

fn node(place: &Place, settings: &Settings, number: u32) -> Member {
    let name = format!("node-{}", number + 1);
    let member = member(place, settings, &name, FIRST_NODE + number);
    Member {
        sysctls: sysctls::of_node(settings),
        ..member
    }
}

fn member(place: &Place, settings: &Settings, name: &str, number: u32) -> Member {
    Member {
        name: name.to_owned(),
        namespace: place.namespace(name),
        port: name.to_owned(),
        mac: mac(number),
        addresses: addresses(settings, number),
        on_link: settings.load_balancer_pools.clone(),
        routers: addresses(settings, LAN_NUMBER)
            .iter()
            .map(IpNet::addr)
            .collect(),
        sysctls: sysctls::of_all(false),
    }
}

fn addresses(settings: &Settings, number: u32) -> Vec<IpNet> {
    settings
        .lan
        .iter()
        .map(|range| numbered(range, number))
        .collect()
}

/// The address with this number in a range, with the range's prefix length.
fn numbered(range: &IpNet, number: u32) -> IpNet {
    let address: IpAddr = match range.network() {
        IpAddr::V4(network) => Ipv4Addr::from_bits(network.to_bits() + number).into(),
        IpAddr::V6(network) => Ipv6Addr::from_bits(network.to_bits() + u128::from(number)).into(),
    };
    IpNet::new(address, range.prefix_len()).expect("the prefix length is a range's own")
}

/// Locally administered, and telling in a packet dump: `02:66:77` (fw), then the number.
fn mac(number: u32) -> [u8; 6] {
    let [_, high, middle, low] = number.to_be_bytes();
    [0x02, b'f', b'w', high, middle, low]
}
