//! `fairway proxy`: a node's Service proxy, in our cluster or any other.

use std::net::{AddrParseError, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use ipnet::IpNet;
use proxy::NodePortAddresses;

use crate::arguments::ClusterFlags;
use crate::client::connect::from_kubeconfig;
use crate::values::end_signal;

/// A word of `--nodeport-addresses`.
#[derive(Clone, Copy, Debug)]
enum NodePorts {
    Primary,
    Range(IpNet),
}

impl NodePorts {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "primary" => Ok(Self::Primary),
            range => range.parse().map(Self::Range).map_err(|_| {
                format!("{range} is neither \"primary\" nor a range like 192.0.2.0/24")
            }),
        }
    }
}

/// An address and port to serve at, or none.
#[derive(Clone, Copy, Debug)]
struct Place(Option<SocketAddr>);

fn place(text: &str) -> Result<Place, AddrParseError> {
    match text {
        "" => Ok(Place(None)),
        address => address.parse().map(|address| Place(Some(address))),
    }
}

fn node_port_addresses(words: &[NodePorts]) -> Result<NodePortAddresses> {
    let ranges: Vec<IpNet> = words
        .iter()
        .filter_map(|word| match word {
            NodePorts::Primary => None,
            NodePorts::Range(range) => Some(*range),
        })
        .collect();
    match (ranges.is_empty(), ranges.len() == words.len()) {
        (true, _) => Ok(NodePortAddresses::Primary),
        (false, true) => Ok(NodePortAddresses::Within(ranges)),
        (false, false) => bail!("--nodeport-addresses: \"primary\" stands alone, without ranges"),
    }
}

/// What the proxy is told.
#[derive(Args, Debug)]
pub(crate) struct ProxyFlags {
    /// The Node's name: endpoints with it are local
    #[arg(long, alias = "hostname-override")]
    node_name: String,
    /// The ranges of all pods' addresses: traffic of pods is not masqueraded
    #[arg(long, value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// Where node ports are open: "primary" for the Node's own address, or ranges, of which a family without
    /// any has all of the node's addresses
    #[arg(long, value_delimiter = ',', default_value = "primary", value_parser = NodePorts::parse)]
    nodeport_addresses: Vec<NodePorts>,
    /// Masquerade whatever goes to a cluster IP
    #[arg(long)]
    masquerade_all: bool,
    /// Where /healthz and /livez are served; "" for nowhere
    #[arg(long, default_value = "0.0.0.0:10256", value_parser = place)]
    healthz_bind_address: Place,
    /// Where /metrics, /proxyMode and /configz are served; "" for nowhere
    #[arg(long, default_value = "127.0.0.1:10249", value_parser = place)]
    metrics_bind_address: Place,
    /// How the kernel is told
    #[arg(long, default_value = "auto", value_parser = ["auto", "nftables"])]
    data_plane: String,
    /// Remove all rules and end
    #[arg(long)]
    cleanup: bool,
}

/// Runs until SIGTERM; the rules stay and the next proxy adopts them.
pub(crate) async fn run(at: ClusterFlags, flags: ProxyFlags) -> Result<ExitCode> {
    if flags.cleanup {
        proxy::clean_up()?;
        return Ok(ExitCode::SUCCESS);
    }
    let kubeconfig = at.kubeconfig.context("a proxy needs --kubeconfig")?;
    let client = from_kubeconfig(&kubeconfig).await?;
    let config = proxy::Config {
        cluster_cidrs: flags.cluster_cidr,
        node_port_addresses: node_port_addresses(&flags.nodeport_addresses)?,
        masquerade_all: flags.masquerade_all,
        healthz: flags.healthz_bind_address.0,
        metrics: flags.metrics_bind_address.0,
        ..proxy::Config::new(client, &flags.node_name)
    };
    proxy::run(config, end_signal()).await?;
    Ok(ExitCode::SUCCESS)
}
