//! What the API server is told at its start.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// The API server's settings; `Config::new` has Kubernetes' defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds `pki/` and `kubeconfig`.
    pub data_dir: PathBuf,
    /// Names and addresses of the serving certificate, besides the loopback and Kubernetes' own names.
    pub subject_alt_names: Vec<String>,
    /// The ranges cluster IPs come from; the first decides the primary family.
    pub service_cidrs: Vec<IpNet>,
    /// The ports that Services may open on every node.
    pub node_ports: RangeInclusive<u16>,
    /// The endpoint of `default/kubernetes`, where pods and nodes reach this server; `None` leaves that
    /// Service without endpoints.
    pub advertise: Option<(IpAddr, u16)>,
    /// How long an Event is kept.
    pub event_ttl: Duration,
    /// Whether pods get their namespace's ServiceAccount filled in, and must have it.
    pub service_account_admission: bool,
    /// History older than this many revisions may be forgotten.
    pub keep_revisions: u64,
}

impl Config {
    /// Kubernetes' defaults, with this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let range = "10.96.0.0/12".parse().expect("a valid range");
        Self {
            data_dir: data_dir.into(),
            subject_alt_names: Vec::new(),
            service_cidrs: vec![range],
            node_ports: 30_000..=32_767,
            advertise: None,
            event_ttl: Duration::from_secs(3_600),
            service_account_admission: false,
            keep_revisions: 100_000,
        }
    }
}
