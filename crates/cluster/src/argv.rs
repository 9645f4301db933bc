//! The command lines of the roles: the same flags that a person would give.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use crate::layout::{BALANCER, LAN, LINK, Layout, Member, RoleSpec, SERVER};
use crate::options::Settings;
use crate::place::Place;

/// The port of the API server's listeners on the LAN.
const CLUSTER_PORT: u16 = 6443;
/// How often the server looks for nodes that have gone silent.
const NODE_MONITOR_PERIOD: Duration = Duration::from_millis(500);

/// The roles of a cluster, the API server first.
pub(crate) fn roles(place: &Place, settings: &Settings, layout: &Layout) -> Vec<RoleSpec> {
    let mut roles = vec![role(place, layout, SERVER, server(place, settings, layout))];
    let balancer = layout
        .members
        .iter()
        .filter(|member| member.name == BALANCER);
    roles.extend(
        balancer.map(|member| role(place, layout, BALANCER, balancer_flags(place, member))),
    );
    roles.extend(layout.nodes().map(|member| {
        let mut role = role(
            place,
            layout,
            &member.name,
            node(place, settings, layout, member),
        );
        role.folders = vec![
            node_state(place, member),
            place.run_dir().join(&member.name),
        ];
        role
    }));
    roles
}

fn role(place: &Place, layout: &Layout, name: &str, arguments: Flags) -> RoleSpec {
    let ready_file = place.ready_file(name);
    RoleSpec {
        name: name.to_owned(),
        arguments: arguments.flag("ready-file", &ready_file).0,
        cgroup: layout.cgroup.join(name),
        ready_file,
        log: place.log(name),
        folders: Vec::new(),
    }
}

fn server(place: &Place, settings: &Settings, layout: &Layout) -> Flags {
    let (first, last) = settings.node_ports;
    let listeners = layout.lan.addresses.iter();
    let listeners = listeners.map(|address| (address.addr(), CLUSTER_PORT).into());
    let listeners: Vec<std::net::SocketAddr> = listeners.collect();
    Flags::of("server")
        .flag("data-dir", place.data_dir())
        .text("listen", settings.listen)
        .flag("cluster-namespace", &place.namespace(LAN))
        .list("cluster-listen", &listeners)
        .flag("cluster-kubeconfig", &place.cluster_kubeconfig())
        .list("service-cidr", &settings.service_cidrs)
        .text("node-port-range", format!("{first}-{last}"))
        .list("cluster-cidr", &settings.cluster_cidrs)
        .list("load-balancer-pool", &settings.load_balancer_pools)
        .text("node-monitor-period", duration(NODE_MONITOR_PERIOD))
        .text(
            "node-monitor-grace-period",
            duration(settings.node_monitor_grace_period),
        )
}

fn balancer_flags(place: &Place, member: &Member) -> Flags {
    on_the_lan(Flags::of("balancer"), place, member)
        .text("interface", LINK)
        .list("address", &plain(&member.addresses))
}

fn node(place: &Place, settings: &Settings, layout: &Layout, member: &Member) -> Flags {
    on_the_lan(Flags::of("node"), place, member)
        .text("name", &member.name)
        .list("address", &plain(&member.addresses))
        .flag("state-dir", &node_state(place, member))
        .flag("run-dir", &place.run_dir().join(&member.name))
        .flag("images-dir", &place.images())
        .flag("cgroup", &layout.cgroup.join(&member.name))
        .list("cluster-cidr", &settings.cluster_cidrs)
        .text(
            "lease-renew-interval",
            duration(settings.lease_renew_interval),
        )
        .text("data-plane", &settings.data_plane)
        .switch("allow-host-path", settings.allow_host_path)
}

fn on_the_lan(flags: Flags, place: &Place, member: &Member) -> Flags {
    flags
        .flag("network-namespace", &member.namespace)
        .flag("kubeconfig", &place.cluster_kubeconfig())
}

fn node_state(place: &Place, member: &Member) -> std::path::PathBuf {
    place.data_dir().join("nodes").join(&member.name)
}

fn plain(addresses: &[IpNet]) -> Vec<std::net::IpAddr> {
    addresses.iter().map(IpNet::addr).collect()
}

/// As Go prints short ones, `4s` or `500ms`.
fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", milliseconds / 1000)
    } else {
        format!("{milliseconds}ms")
    }
}

/// A command line in the making.
struct Flags(Vec<OsString>);

impl Flags {
    fn of(command: &str) -> Self {
        Self(vec![command.into()])
    }

    fn flag(mut self, name: &str, path: &Path) -> Self {
        self.0.push(format!("--{name}").into());
        self.0.push(path.into());
        self
    }

    fn text(mut self, name: &str, value: impl Display) -> Self {
        self.0.push(format!("--{name}").into());
        self.0.push(value.to_string().into());
        self
    }

    fn switch(mut self, name: &str, on: bool) -> Self {
        if on {
            self.0.push(format!("--{name}").into());
        }
        self
    }

    fn list(self, name: &str, values: &[impl Display]) -> Self {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        self.text(name, values.join(","))
    }
}
