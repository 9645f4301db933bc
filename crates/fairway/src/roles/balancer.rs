//! `fairway balancer`: the external load balancer, for our cluster or any other.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use ipnet::IpNet;
use kube::Client;

use crate::arguments::ClusterFlags;
use crate::client::connect::from_kubeconfig;
use crate::values::{announce_ready, end_signal};

/// What the balancer is told.
#[derive(Args, Debug)]
pub(crate) struct BalancerFlags {
    /// The link to clients and nodes
    #[arg(long, default_value = "eth0")]
    interface: String,
    /// The balancer's own addresses on that link [default: those it finds there]
    #[arg(long, value_delimiter = ',')]
    address: Vec<IpAddr>,
    /// Also give out addresses of these ranges, in a cluster where nobody else does
    #[arg(long, value_delimiter = ',')]
    load_balancer_pool: Vec<IpNet>,
    /// Made when the balancer serves
    #[arg(long, hide = true)]
    ready_file: Option<PathBuf>,
}

/// Runs until SIGTERM; addresses and rules stay.
pub(crate) async fn run(at: ClusterFlags, flags: BalancerFlags) -> Result<ExitCode> {
    let kubeconfig = at.kubeconfig.context("a balancer needs --kubeconfig")?;
    let client = from_kubeconfig(&kubeconfig).await?;
    let addresses = own_addresses(&flags).await?;
    let ready_file = flags.ready_file.clone();
    let config = balancer::Config {
        pools: flags.load_balancer_pool.clone(),
        ready: Box::new(move || {
            if let Err(error) = announce_ready(ready_file.as_deref()) {
                tracing::error!("{error:#}");
            }
        }),
        ..balancer::Config::new(client.clone(), &flags.interface, addresses)
    };
    tokio::select! {
        ended = balancer::run(config, end_signal()) => ended?,
        () = give_out_addresses(client, &flags.load_balancer_pool)? => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The flag's, else those of the link that are part of a network (a held address stands alone).
async fn own_addresses(flags: &BalancerFlags) -> Result<Vec<IpAddr>> {
    if !flags.address.is_empty() {
        return Ok(flags.address.clone());
    }
    let netlink = kernel::Netlink::here()?;
    let link = netlink.link(&flags.interface).await?;
    let mut own: Vec<IpAddr> = Vec::new();
    for address in netlink.addresses(link.index).await? {
        let link_local = matches!(address.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
        let first = !own
            .iter()
            .any(|other| other.is_ipv4() == address.addr().is_ipv4());
        if address.prefix_len() < address.max_prefix_len() && !link_local && first {
            own.push(address.addr());
        }
    }
    if own.is_empty() {
        bail!(
            "{} has no address: give it one, or say --address",
            flags.interface
        );
    }
    Ok(own)
}

/// The address controller, under its Lease; for ever, but without pools it does nothing.
fn give_out_addresses(client: Client, pools: &[IpNet]) -> Result<impl Future<Output = ()> + use<>> {
    let identity = super::identity();
    let mut config = controllers::Config::new(client, identity);
    config.pools = controllers::load_balancer::Pools::parse(pools.iter().map(ToString::to_string))?;
    config.leader_election = Some(controllers::LeaderElection::new(
        "kube-system",
        "fairway-balancer",
    ));
    let wanted = !pools.is_empty();
    Ok(async move {
        if wanted {
            controllers::load_balancer::run(config, std::future::pending()).await;
        }
        std::future::pending::<()>().await;
    })
}
