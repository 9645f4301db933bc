//! What a cluster is asked to be ([`Options`]), and what it then is ([`Settings`]): complete,
//! checked, and kept in the run directory so that the next launcher knows what it adopts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The LAN's ranges: benchmarking space (RFC 2544) and a ULA of ours.
const LAN: [&str; 2] = ["198.18.0.0/24", "fd46:6177::/64"];
const POOLS: [&str; 2] = ["198.18.1.0/24", "fd46:6177:0:1::/112"];
const PODS: [&str; 2] = ["10.244.0.0/16", "fd46:6177:0:f400::/56"];
const SERVICES: &str = "10.96.0.0/12";
/// Members besides nodes have the numbers below this one.
pub(crate) const FIRST_NODE: u32 = 11;

/// What is asked for. Empty lists mean the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// The binary that is every role.
    pub program: PathBuf,
    /// Where the cluster keeps what survives a reboot.
    pub data_dir: PathBuf,
    /// How many nodes.
    pub nodes: u32,
    /// Where the API server listens on the host.
    pub listen: SocketAddr,
    /// The LAN's ranges, one of each family.
    pub lan: Vec<IpNet>,
    /// The ranges that Services of type LoadBalancer get addresses from.
    pub load_balancer_pools: Vec<IpNet>,
    /// The ranges that pods get addresses from, a part for each node.
    pub cluster_cidrs: Vec<IpNet>,
    /// The ranges that Services get their own addresses from; two make a dual-stack cluster.
    pub service_cidrs: Vec<IpNet>,
    /// The ports that Services may open on every node.
    pub node_ports: (u16, u16),
    /// How often a node says that it lives.
    pub lease_renew_interval: Duration,
    /// How long a node may be silent before it counts as lost.
    pub node_monitor_grace_period: Duration,
    /// How the nodes' proxies tell the kernel: `auto` or `nftables`.
    pub data_plane: String,
    /// Let pods mount files of the machine, which all nodes share.
    pub allow_host_path: bool,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(program: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            program,
            data_dir,
            nodes: 3,
            listen: SocketAddr::from(([127, 0, 0, 1], 6443)),
            lan: Vec::new(),
            load_balancer_pools: Vec::new(),
            cluster_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            node_ports: (30_000, 32_767),
            lease_renew_interval: Duration::from_secs(1),
            node_monitor_grace_period: Duration::from_secs(4),
            data_plane: "auto".to_owned(),
            allow_host_path: false,
        }
    }
}

/// The complete, checked form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// As in [`Options`].
    pub nodes: u32,
    /// As in [`Options`].
    pub listen: SocketAddr,
    /// IPv4, then IPv6.
    pub lan: Vec<IpNet>,
    /// As in [`Options`].
    pub load_balancer_pools: Vec<IpNet>,
    /// As in [`Options`].
    pub cluster_cidrs: Vec<IpNet>,
    /// As in [`Options`].
    pub service_cidrs: Vec<IpNet>,
    /// As in [`Options`].
    pub node_ports: (u16, u16),
    /// As in [`Options`].
    pub lease_renew_interval: Duration,
    /// As in [`Options`].
    pub node_monitor_grace_period: Duration,
    /// As in [`Options`].
    pub data_plane: String,
    /// As in [`Options`].
    #[serde(default)]
    pub allow_host_path: bool,
}

impl Settings {
    /// Fills in the defaults and checks the whole.
    ///
    /// # Errors
    /// [`Error::Options`] with every problem found.
    pub fn complete(options: &Options) -> Result<Self, Error> {
        let service_cidrs = or_default(&options.service_cidrs, &[SERVICES], |_| true);
        let served = |range: &IpNet| {
            service_cidrs
                .iter()
                .any(|other| family(other) == family(range))
        };
        let mut lan = or_default(&options.lan, &LAN, |_| true);
        complete_families(&mut lan);
        let settings = Self {
            nodes: options.nodes,
            listen: options.listen,
            lan,
            load_balancer_pools: or_default(&options.load_balancer_pools, &POOLS, served),
            cluster_cidrs: or_default(&options.cluster_cidrs, &PODS, served),
            service_cidrs: service_cidrs.clone(),
            node_ports: options.node_ports,
            lease_renew_interval: options.lease_renew_interval,
            node_monitor_grace_period: options.node_monitor_grace_period,
            data_plane: options.data_plane.clone(),
            allow_host_path: options.allow_host_path,
        };
        let problems = settings.problems();
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Error::Options(problems))
        }
    }

    /// The names of the settings in which `other` differs.
    #[must_use]
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let (Ok(serde_json::Value::Object(ours)), Ok(theirs)) =
            (serde_json::to_value(self), serde_json::to_value(other))
        else {
            return Vec::new();
        };
        ours.iter()
            .filter(|(name, value)| theirs.get(name.as_str()) != Some(value))
            .map(|(name, _)| format!("--{}", name.replace('_', "-")))
            .collect()
    }

    /// Every range with the option it comes from.
    fn ranges(&self) -> Vec<(&'static str, IpNet)> {
        let lists = [
            ("--lan", &self.lan),
            ("--load-balancer-pool", &self.load_balancer_pools),
            ("--cluster-cidr", &self.cluster_cidrs),
            ("--service-cidr", &self.service_cidrs),
        ];
        lists
            .into_iter()
            .flat_map(|(option, list)| list.iter().map(move |range| (option, *range)))
            .collect()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = overlaps(&self.ranges());
        if self.lan.len() != 2 || !self.lan[0].addr().is_ipv4() || !self.lan[1].addr().is_ipv6() {
            problems.push("--lan takes one IPv4 and one IPv6 range".to_owned());
        }
        for range in &self.lan {
            if largest_number(range) < u64::from(FIRST_NODE) + u64::from(self.nodes) {
                problems.push(format!(
                    "--lan {range} is too small for {} nodes",
                    self.nodes
                ));
            }
        }
        if self.nodes == 0 {
            problems.push("--nodes must be at least 1".to_owned());
        }
        let (first, last) = self.node_ports;
        if first == 0 || first > last {
            problems.push(format!("--node-port-range {first}-{last} holds no port"));
        }
        problems.extend(self.families_without_pods());
        problems
    }

    fn families_without_pods(&self) -> impl Iterator<Item = String> {
        let missing = self.service_cidrs.iter().filter(|range| {
            !self
                .cluster_cidrs
                .iter()
                .any(|pods| family(pods) == family(range))
        });
        missing.map(|range| {
            format!("--service-cidr {range} needs a --cluster-cidr of the same family for the pods")
        })
    }
}

/// Whether two ranges have addresses in common.
pub(crate) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

fn or_default(given: &[IpNet], default: &[&str], wanted: impl Fn(&IpNet) -> bool) -> Vec<IpNet> {
    if given.is_empty() {
        default
            .iter()
            .map(|text| range(text))
            .filter(wanted)
            .collect()
    } else {
        given.iter().map(IpNet::trunc).collect()
    }
}

/// The LAN always has both families, IPv4 first: who gives one keeps the default of the other.
fn complete_families(lan: &mut Vec<IpNet>) {
    for text in LAN {
        let default = range(text);
        if !lan.iter().any(|given| family(given) == family(&default)) {
            lan.push(default);
        }
    }
    lan.sort_by_key(|range| range.addr().is_ipv6());
}

fn range(text: &str) -> IpNet {
    text.parse().expect("the default ranges are valid")
}

fn family(range: &IpNet) -> bool {
    range.addr().is_ipv6()
}

/// The highest host number of a range that is not its broadcast address.
fn largest_number(range: &IpNet) -> u64 {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len());
    if bits >= 32 {
        u64::from(u32::MAX)
    } else {
        (1_u64 << bits).saturating_sub(2)
    }
}

fn overlaps(ranges: &[(&'static str, IpNet)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, (option, range)) in ranges.iter().enumerate() {
        for (other_option, other) in &ranges[..number] {
            if overlap(range, other) {
                problems.push(format!("{option} {range} overlaps {other_option} {other}"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new("fairway".into(), "/var/lib/fairway".into())
    }

    fn ranges(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| range(text)).collect()
    }

    #[test]
    fn the_defaults_are_one_family_for_services_and_both_for_the_lan() {
        let settings = Settings::complete(&options()).unwrap();
        assert_eq!(settings.lan, ranges(&["198.18.0.0/24", "fd46:6177::/64"]));
        assert_eq!(settings.cluster_cidrs, ranges(&["10.244.0.0/16"]));
        assert_eq!(settings.load_balancer_pools, ranges(&["198.18.1.0/24"]));
    }

    #[test]
    fn two_service_ranges_bring_pods_and_pool_of_both_families() {
        let mut options = options();
        options.service_cidrs = ranges(&["10.96.0.0/16", "fd00:10:96::/112"]);
        let settings = Settings::complete(&options).unwrap();
        assert_eq!(settings.cluster_cidrs.len(), 2);
        assert_eq!(settings.load_balancer_pools.len(), 2);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut options = options();
        options.nodes = 0;
        options.node_ports = (40_000, 30_000);
        options.load_balancer_pools = ranges(&["198.18.0.128/25"]);
        options.cluster_cidrs = ranges(&["fd00::/48"]);
        let Err(Error::Options(problems)) = Settings::complete(&options) else {
            panic!("wrong options were taken");
        };
        let text = problems.join("\n");
        for part in [
            "--load-balancer-pool 198.18.0.128/25 overlaps --lan 198.18.0.0/24",
            "--nodes must be at least 1",
            "--node-port-range 40000-30000",
            "--service-cidr 10.96.0.0/12 needs a --cluster-cidr",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_lan_has_room_for_its_nodes_or_is_refused() {
        let mut options = options();
        options.lan = ranges(&["192.0.2.0/28"]);
        options.nodes = 3;
        assert!(Settings::complete(&options).is_ok());
        options.nodes = 4;
        assert!(Settings::complete(&options).is_err());
    }

    #[test]
    fn differences_are_named_as_options() {
        let ours = Settings::complete(&options()).unwrap();
        let theirs = Settings {
            nodes: 5,
            ..ours.clone()
        };
        assert_eq!(ours.differences(&theirs), ["--nodes"]);
    }
}
