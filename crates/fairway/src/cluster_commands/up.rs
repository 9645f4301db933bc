//! `fairway up`: a cluster in the foreground, or left running with `--detach`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use cluster::{Options, Place, Progress, Running};
use ipnet::IpNet;

use crate::arguments::ClusterFlags;
use crate::invoker::Invoker;
use crate::values::{duration, end_signal, ports};

/// Where a cluster is unless the flags say otherwise.
pub(crate) const DEFAULT_DATA_DIR: &str = "/var/lib/fairway";

/// What kind of cluster.
#[derive(Args, Debug)]
pub(crate) struct UpFlags {
    /// How many nodes
    #[arg(long, default_value_t = 3)]
    nodes: u32,
    /// Where the API server listens on the host
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Range of Services' own addresses; two ranges make a dual-stack cluster [default: 10.96.0.0/12]
    #[arg(long, value_delimiter = ',')]
    service_cidr: Vec<IpNet>,
    /// Ranges of load-balancer addresses [default: 198.18.1.0/24]
    #[arg(long, value_delimiter = ',')]
    load_balancer_pool: Vec<IpNet>,
    /// Range of pod addresses; each node gets a part [default: 10.244.0.0/16]
    #[arg(long, value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// Ranges of the network between the nodes [default: 198.18.0.0/24,fd46:6177::/64]
    #[arg(long, value_delimiter = ',')]
    lan: Vec<IpNet>,
    /// Ports that Services may open on every node
    #[arg(long, default_value = "30000-32767", value_parser = ports)]
    node_port_range: RangeInclusive<u16>,
    /// How often a node says that it lives
    #[arg(long, default_value = "1s", value_parser = duration)]
    lease_renew_interval: Duration,
    /// How long a node may be silent before it counts as lost
    #[arg(long, default_value = "4s", value_parser = duration)]
    node_monitor_grace_period: Duration,
    /// How the nodes' proxies tell the kernel
    #[arg(long, default_value = "auto", value_parser = ["auto", "nftables"])]
    data_plane: String,
    /// Let pods mount files of this machine (hostPath); all nodes share them
    #[arg(long)]
    allow_host_path: bool,
    /// Return when the cluster is ready, and leave it running
    #[arg(long)]
    detach: bool,
    /// Add the cluster to the kubeconfig of the user (~/.kube/config), as context "fairway"
    #[arg(long)]
    merge_kubeconfig: bool,
}

/// Starts a cluster, or adopts one whose launcher was killed.
pub(crate) async fn run(at: ClusterFlags, flags: UpFlags) -> Result<ExitCode> {
    let data_dir = at.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    if flags.detach {
        let place = Place::of(&data_dir)?;
        cluster::detach(&program, &foreground_arguments(&data_dir), &place).await?;
        merge(&flags, &place)?;
        tell(&place, "It runs in the background; `fairway down` ends it.");
        return Ok(ExitCode::SUCCESS);
    }
    let begun = std::time::Instant::now();
    let place = Place::of(&data_dir)?;
    let running = tokio::select! {
        running = cluster::up(options(program, data_dir, &flags), show) => running?,
        () = end_signal() => {
            cluster::down(&place, false).await?;
            return Ok(ExitCode::FAILURE);
        }
    };
    anstream::eprintln!("ready after {} ms", begun.elapsed().as_millis());
    merge(&flags, running.place())?;
    tell(
        running.place(),
        "Ctrl-C ends it and removes every trace of it.",
    );
    wait_and_end(running).await
}

async fn wait_and_end(running: Running) -> Result<ExitCode> {
    end_signal().await;
    anstream::eprintln!("ending; once more Ctrl-C leaves the rest to `fairway down`");
    tokio::select! {
        ended = running.end(false) => ended?,
        () = end_signal() => return Ok(ExitCode::FAILURE),
    }
    Ok(ExitCode::SUCCESS)
}

/// The same command line without `--detach`.
fn foreground_arguments(data_dir: &std::path::Path) -> Vec<OsString> {
    let typed = std::env::args_os().skip(1);
    let mut arguments: Vec<OsString> = typed
        .filter(|a| a != "--detach" && a != "--merge-kubeconfig")
        .collect();
    if !arguments
        .iter()
        .any(|a| a.to_string_lossy().starts_with("--data-dir"))
    {
        arguments.extend(["--data-dir".into(), data_dir.into()]);
    }
    arguments
}

fn options(program: PathBuf, data_dir: PathBuf, flags: &UpFlags) -> Options {
    Options {
        nodes: flags.nodes,
        listen: flags.listen,
        lan: flags.lan.clone(),
        load_balancer_pools: flags.load_balancer_pool.clone(),
        cluster_cidrs: flags.cluster_cidr.clone(),
        service_cidrs: flags.service_cidr.clone(),
        node_ports: (*flags.node_port_range.start(), *flags.node_port_range.end()),
        lease_renew_interval: flags.lease_renew_interval,
        node_monitor_grace_period: flags.node_monitor_grace_period,
        data_plane: flags.data_plane.clone(),
        allow_host_path: flags.allow_host_path,
        ..Options::new(program, data_dir)
    }
}

fn show(progress: Progress) {
    let style = anstyle::AnsiColor::Green.on_default();
    match progress {
        Progress::Network { namespaces, after } => {
            let ms = after.as_millis();
            anstream::eprintln!(
                "{style}network{style:#}   {namespaces} namespaces and the LAN, {ms} ms"
            );
        }
        Progress::Started { .. } => {}
        Progress::Adopted { role } => anstream::eprintln!("{style}adopted{style:#}   {role}"),
        Progress::Ready { role, after } => {
            anstream::eprintln!("{style}ready{style:#}     {role}, {} ms", after.as_millis());
        }
        Progress::Ended { role, how } => {
            anstream::eprintln!("{role} ended ({how}); starting it again");
        }
    }
}

fn tell(place: &Place, end: &str) {
    let kubeconfig = place.kubeconfig();
    anstream::eprintln!(
        "
  export KUBECONFIG={}
  kubectl get all                (or: fairway get all)
  fairway explain SERVICE        how packets reach it, and where they stop if they do

{end}",
        kubeconfig.display()
    );
}

fn merge(flags: &UpFlags, place: &Place) -> Result<()> {
    if !flags.merge_kubeconfig {
        return Ok(());
    }
    let invoker = Invoker::find();
    let home = match &invoker {
        Some(invoker) => invoker.home(),
        None => std::env::home_dir(),
    };
    let folder = home
        .context("the user's home directory is not known")?
        .join(".kube");
    let user = folder.join("config");
    super::kubeconfig::merge(&place.kubeconfig(), &user)
        .with_context(|| format!("cannot add the cluster to {}", user.display()))?;
    match invoker {
        Some(invoker) => invoker.give(&folder).and_then(|()| invoker.give(&user)),
        None => Ok(()),
    }
}
