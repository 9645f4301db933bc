//! `fairway server`: the API server with its store, and the controllers over its own router.

use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use apiserver::{Server, pki};
use clap::Args;
use controllers::load_balancer::Pools;
use controllers::{PodRange, Selection};
use ipnet::IpNet;
use kernel::NetNs;
use store::{Embedded, Store};
use tokio::sync::watch;

use crate::arguments::ClusterFlags;
use crate::invoker::Invoker;
use crate::values::{announce_ready, duration, end_signal, ports};

const STORE_FILE: &str = "store.redb";

/// What the server is told.
#[derive(Args, Debug)]
pub(crate) struct ServerFlags {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Which controllers run: `*`, `name` or `-name`, as kube-controller-manager has it
    #[arg(long, default_value = "*", allow_hyphen_values = true)]
    controllers: String,
    /// Range of Services' own addresses; two ranges make a dual-stack cluster
    #[arg(long, value_delimiter = ',', default_value = "10.96.0.0/12")]
    service_cidr: Vec<IpNet>,
    /// Ports that Services may open on every node
    #[arg(long, default_value = "30000-32767", value_parser = ports)]
    node_port_range: RangeInclusive<u16>,
    /// Ranges that nodes get their pods' ranges from
    #[arg(long, value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// Ranges of load-balancer addresses
    #[arg(long, value_delimiter = ',')]
    load_balancer_pool: Vec<IpNet>,
    /// Whether a pod needs its namespace's ServiceAccount and gets it filled in
    #[arg(long)]
    service_account_admission: bool,
    /// How often nodes are looked after
    #[arg(long, default_value = "5s", value_parser = duration)]
    node_monitor_period: Duration,
    /// How long a node may be silent before it counts as lost
    #[arg(long, default_value = "50s", value_parser = duration)]
    node_monitor_grace_period: Duration,
    /// The network namespace of further listeners
    #[arg(long, requires = "cluster_listen")]
    cluster_namespace: Option<PathBuf>,
    /// Where nodes and pods reach the server; the first is the endpoint of default/kubernetes
    #[arg(long, value_delimiter = ',')]
    cluster_listen: Vec<SocketAddr>,
    /// Write a kubeconfig for nodes and balancers here
    #[arg(long, requires = "cluster_listen")]
    cluster_kubeconfig: Option<PathBuf>,
    /// Made when the server serves
    #[arg(long, hide = true)]
    ready_file: Option<PathBuf>,
}

/// Runs until SIGTERM, then ends the watches and closes the store.
pub(crate) async fn run(at: ClusterFlags, flags: ServerFlags) -> Result<ExitCode> {
    let data_dir = at.data_dir.context("a server needs --data-dir")?;
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    let store = open(&data_dir).await?;
    let listeners = listeners(&flags)?;
    let config = config(&data_dir, &flags);
    let server = Server::start(config, Arc::clone(&store) as Arc<dyn Store>, listeners).await?;
    write_kubeconfigs(&server, &data_dir, &flags)?;
    announce_ready(flags.ready_file.as_deref())?;
    let (stop, stopped) = watch::channel(false);
    let controllers = tokio::spawn(controllers::run(
        controllers(&server, &flags)?,
        ended(stopped),
    ));
    end_signal().await;
    let _ = stop.send(true);
    controllers.await.context("the controllers panicked")?;
    server.shutdown().await;
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Opening reads the file's end and may repair it after a crash: not on the runtime's threads.
async fn open(data_dir: &Path) -> Result<Arc<Embedded>> {
    let path = data_dir.join(STORE_FILE);
    let opened = tokio::task::spawn_blocking(move || Embedded::open(path)).await;
    Ok(Arc::new(opened.context("opening the store panicked")??))
}

/// The host's listener, and those inside the cluster's LAN, which its members reach past any host firewall.
fn listeners(flags: &ServerFlags) -> Result<Vec<TcpListener>> {
    let mut listeners = vec![kernel::socket::listen_tcp(flags.listen)?];
    let lan = flags
        .cluster_namespace
        .as_deref()
        .map(NetNs::open)
        .transpose()?;
    for address in &flags.cluster_listen {
        listeners.push(match &lan {
            Some(lan) => kernel::socket::listen_tcp_in(lan, *address)?,
            None => kernel::socket::listen_tcp(*address)?,
        });
    }
    Ok(listeners)
}

fn config(data_dir: &Path, flags: &ServerFlags) -> apiserver::Config {
    let advertised = flags.cluster_listen.first().copied().or(
        // A loopback address cannot be an endpoint: nobody else could reach it.
        Some(flags.listen).filter(|listen| !listen.ip().is_loopback()),
    );
    let addresses = flags.cluster_listen.iter().chain([&flags.listen]);
    apiserver::Config {
        service_cidrs: flags.service_cidr.clone(),
        node_ports: flags.node_port_range.clone(),
        advertise: advertised.map(|address| (address.ip(), address.port())),
        subject_alt_names: addresses.map(|address| address.ip().to_string()).collect(),
        service_account_admission: flags.service_account_admission,
        ..apiserver::Config::new(data_dir)
    }
}

fn write_kubeconfigs(server: &Server, data_dir: &Path, flags: &ServerFlags) -> Result<()> {
    let authority = server.authority();
    let administrators = data_dir.join("kubeconfig");
    apiserver::write_admin_kubeconfig(authority, &administrators, flags.listen)?;
    if let Some(invoker) = Invoker::find() {
        invoker.give(&administrators)?;
    }
    if let (Some(path), Some(address)) = (&flags.cluster_kubeconfig, flags.cluster_listen.first()) {
        let credentials = authority.issue_client("system:fairway", &["system:masters"])?;
        pki::kubeconfig(path, &format!("https://{address}"), authority, &credentials)?;
    }
    Ok(())
}

fn controllers(server: &Server, flags: &ServerFlags) -> Result<controllers::Config> {
    let client = kube::Client::new(server.service(), "default");
    let mut config = controllers::Config::new(client, super::identity());
    config.enabled = Selection::parse(&flags.controllers)?;
    config.nodes.period = flags.node_monitor_period;
    config.nodes.grace = flags.node_monitor_grace_period;
    config.pod_ranges = flags
        .cluster_cidr
        .iter()
        .map(|range| PodRange::new(*range))
        .collect();
    config.pools = Pools::parse(flags.load_balancer_pool.iter().map(ToString::to_string))?;
    config.root_ca = Some(server.authority().certificate().to_owned());
    Ok(config)
}
