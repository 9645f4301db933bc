//! `fairway proxy`: a node's Service proxy, in our cluster or any other.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use ipnet::IpNet;

use crate::arguments::ClusterFlags;
use crate::client::connect::from_kubeconfig;
use crate::values::end_signal;

/// What the proxy is told.
#[derive(Args, Debug)]
pub(crate) struct ProxyFlags {
    /// The Node's name: endpoints with it are local
    #[arg(long)]
    node_name: String,
    /// The ranges of all pods' addresses: traffic of pods is not masqueraded
    #[arg(long, value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
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
        ..proxy::Config::new(client, &flags.node_name)
    };
    proxy::run(config, end_signal()).await?;
    Ok(ExitCode::SUCCESS)
}
