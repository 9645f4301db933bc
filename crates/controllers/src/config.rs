//! What an operator says about the controllers, ready to use: which of them run, and their few settings.

use std::time::Duration;

use ipnet::IpNet;

use crate::error::ConfigError;
use crate::load_balancer::Pools;

/// Everything the controllers need to run.
#[derive(Clone)]
pub struct Config {
    /// How to reach the API server: over the network, or its router in the same process.
    pub client: kube::Client,
    /// Which controllers run.
    pub enabled: Selection,
    /// This process's name in Leases; made unique by the caller (host name and a random part).
    pub identity: String,
    /// Run only while holding this Lease; `None` where nobody else can run them.
    pub leader_election: Option<LeaderElection>,
    /// When a node counts as lost, and what follows.
    pub nodes: NodeMonitor,
    /// Ranges from which each Node gets its pod range; at most one per family, none: no pod ranges.
    pub pod_ranges: Vec<PodRange>,
    /// Addresses for Services of type LoadBalancer; empty: that controller does nothing.
    pub pools: Pools,
    /// The cluster's CA in PEM, published to each namespace as `kube-root-ca.crt`; `None`: not published.
    pub root_ca: Option<String>,
}

impl Config {
    /// All controllers with Kubernetes' own defaults, no leader election, no pools.
    pub fn new(client: kube::Client, identity: impl Into<String>) -> Self {
        Self {
            client,
            enabled: Selection::all(),
            identity: identity.into(),
            leader_election: None,
            nodes: NodeMonitor::default(),
            pod_ranges: Vec::new(),
            pools: Pools::default(),
            root_ca: None,
        }
    }
}

/// The names that [`Selection::parse`] accepts; those of kube-controller-manager where it has the controller.
pub const NAMES: &[&str] = &[
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "node-ipam-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "scheduler",
    "service-cidr-controller",
    "service-lb-controller",
    "serviceaccount-controller",
    "ttl-controller",
];

/// Which controllers run, as kube-controller-manager's `--controllers` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    star: bool,
    on: Vec<String>,
    off: Vec<String>,
}

impl Selection {
    /// All of them.
    pub fn all() -> Self {
        Self {
            star: true,
            on: Vec::new(),
            off: Vec::new(),
        }
    }

    /// One of them, by its full name.
    pub fn only(name: &str) -> Self {
        Self {
            star: false,
            on: vec![name.to_owned()],
            off: Vec::new(),
        }
    }

    /// Parses a list of `*`, `name` and `-name`. A name may leave out its `-controller` and use the old short
    /// forms of kube-controller-manager (`endpointslice`, `garbagecollector`, `nodelifecycle`).
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut selection = Self {
            star: false,
            on: Vec::new(),
            off: Vec::new(),
        };
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word.strip_prefix('-') {
                _ if word == "*" => selection.star = true,
                Some(name) => selection.off.push(canonical(name)?),
                None => selection.on.push(canonical(word)?),
            }
        }
        Ok(selection)
    }

    /// Whether the controller with this full name runs.
    pub fn has(&self, name: &str) -> bool {
        if self.on.iter().any(|on| on == name) {
            return true;
        }
        self.star && !self.off.iter().any(|off| off == name)
    }
}

fn canonical(name: &str) -> Result<String, ConfigError> {
    let full = match name {
        "garbagecollector" => "garbage-collector-controller",
        "nodelifecycle" => "node-lifecycle-controller",
        "nodeipam" => "node-ipam-controller",
        "podgc" | "pod-gc" => "pod-garbage-collector-controller",
        "root-ca-cert-publisher" | "root-ca" => "root-ca-certificate-publisher-controller",
        "endpoint" => "endpoints-controller",
        "endpointslicemirroring" => "endpointslice-mirroring-controller",
        "service" => "service-lb-controller",
        other => other,
    };
    let with_suffix = format!("{full}-controller");
    NAMES
        .iter()
        .find(|known| **known == full || **known == with_suffix)
        .map(|known| (*known).to_owned())
        .ok_or_else(|| ConfigError::UnknownController {
            name: name.to_owned(),
        })
}

/// The Lease that decides who runs, and its times.
#[derive(Clone, Debug)]
pub struct LeaderElection {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// After so long without a sign of life another may take over.
    pub lease_duration: Duration,
    /// The holder gives up when it could not renew for so long; shorter than the lease's duration.
    pub renew_deadline: Duration,
    /// Pause between attempts.
    pub retry_period: Duration,
}

impl LeaderElection {
    /// The times that client-go's components use (15 s, 10 s, 2 s).
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// When a node counts as lost.
#[derive(Clone, Copy, Debug)]
pub struct NodeMonitor {
    /// How often nodes are looked at.
    pub period: Duration,
    /// A node without a sign of life for so long becomes Unknown.
    pub grace: Duration,
    /// The same for a node that never reported a status.
    pub startup_grace: Duration,
}

impl Default for NodeMonitor {
    /// kube-controller-manager's values (5 s, 50 s, 60 s).
    fn default() -> Self {
        Self {
            period: Duration::from_secs(5),
            grace: Duration::from_secs(50),
            startup_grace: Duration::from_secs(60),
        }
    }
}

/// A range that is cut into one piece per node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRange {
    /// The whole.
    pub range: IpNet,
    /// Prefix length of one node's piece.
    pub node_prefix: u8,
}

impl PodRange {
    /// The range with Kubernetes' default piece: /24 of IPv4, /64 of IPv6.
    pub fn new(range: IpNet) -> Self {
        let node_prefix = match range {
            IpNet::V4(_) => 24,
            IpNet::V6(_) => 64,
        };
        Self { range, node_prefix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_read_like_kube_controller_manager() {
        let cases = [
            ("*", "scheduler", true),
            ("*,-scheduler", "scheduler", false),
            ("*,-scheduler", "deployment-controller", true),
            ("deployment", "deployment-controller", true),
            ("deployment", "replicaset-controller", false),
            ("-deployment,*", "deployment-controller", false),
            ("", "deployment-controller", false),
            ("endpointslice", "endpointslice-controller", true),
            ("endpointslice", "endpointslice-mirroring-controller", false),
            ("garbagecollector", "garbage-collector-controller", true),
        ];
        for (text, name, expected) in cases {
            let selection = Selection::parse(text).expect("valid");
            assert_eq!(selection.has(name), expected, "{text} {name}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let problem = Selection::parse("*,-nonsense").expect_err("unknown");
        assert!(problem.to_string().contains("nonsense"), "{problem}");
    }
}
