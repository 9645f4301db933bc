//! `fairway node`: a machine of the cluster, that is the crates `node` and `proxy` in one process.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use ipnet::IpNet;
use kube::Client;

use crate::arguments::ClusterFlags;
use crate::client::connect::from_kubeconfig;
use crate::values::{announce_ready, duration, end_signal};

/// What the node is told.
#[derive(Args, Debug)]
pub(crate) struct NodeFlags {
    /// The Node's name
    #[arg(long)]
    name: String,
    /// The node's own addresses, the primary family first
    #[arg(long, value_delimiter = ',', required = true)]
    address: Vec<IpAddr>,
    /// The link to the other nodes
    #[arg(long, default_value = "eth0")]
    interface: String,
    /// What survives a reboot: logs and volumes
    #[arg(long)]
    state_dir: PathBuf,
    /// What does not: sockets and states
    #[arg(long)]
    run_dir: PathBuf,
    /// The image store, shared by the nodes of a machine
    #[arg(long)]
    images_dir: PathBuf,
    /// The node's cgroup (version 2)
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// The ranges of all pods' addresses
    #[arg(long, value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// How often the Lease is renewed; it holds four times as long
    #[arg(long, default_value = "10s", value_parser = duration)]
    lease_renew_interval: Duration,
    /// How containers run
    #[arg(long, default_value = "containers", value_parser = ["processes", "containers"])]
    runtime: String,
    /// Let pods mount files of this machine (hostPath); all nodes of a standalone cluster share them
    #[arg(long)]
    allow_host_path: bool,
    /// How the proxy tells the kernel
    #[arg(long, default_value = "auto", value_parser = ["auto", "nftables"])]
    data_plane: String,
    /// Made when the node serves
    #[arg(long, hide = true)]
    ready_file: Option<PathBuf>,
}

/// Runs both until SIGTERM; pods and rules stay.
pub(crate) async fn run(at: ClusterFlags, flags: NodeFlags) -> Result<ExitCode> {
    let kubeconfig = at.kubeconfig.clone().context("a node needs --kubeconfig")?;
    let client = from_kubeconfig(&kubeconfig).await?;
    let ready = Readiness::new(2, flags.ready_file.clone());
    let proxy = proxy::run(
        proxy_config(&flags, client.clone(), ready.token()),
        end_signal(),
    );
    let node = node::run(
        node_config(&flags, &kubeconfig, client, ready.token())?,
        end_signal(),
    );
    // Whoever ends first with an error ends the process; the launcher starts it again.
    tokio::try_join!(async { node.await.context("the node") }, async {
        proxy.await.context("the proxy")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn proxy_config(
    flags: &NodeFlags,
    client: Client,
    ready: Box<dyn FnOnce() + Send>,
) -> proxy::Config {
    proxy::Config {
        cluster_cidrs: flags.cluster_cidr.clone(),
        ready,
        ..proxy::Config::new(client, &flags.name)
    }
}

fn node_config(
    flags: &NodeFlags,
    kubeconfig: &std::path::Path,
    client: Client,
    ready: Box<dyn FnOnce() + Send>,
) -> Result<node::Config> {
    Ok(node::Config {
        node_name: flags.name.clone(),
        client,
        client_ca: Some(certificate_authority(kubeconfig)?),
        data_directory: flags.state_dir.clone(),
        images_directory: flags.images_dir.clone(),
        run_directory: flags.run_dir.clone(),
        cgroup: flags.cgroup.clone(),
        addresses: flags.address.clone(),
        link: flags.interface.clone(),
        lease_renew: flags.lease_renew_interval,
        lease_duration: flags.lease_renew_interval * 4,
        log_port: node::KUBELET_PORT,
        runtime: match flags.runtime.as_str() {
            "processes" => node::RuntimeKind::Processes,
            _ => node::RuntimeKind::Containers,
        },
        supervisor: node::Config::own_supervisor(),
        host_paths: flags.allow_host_path,
        labels: Vec::new(),
        ready: ready.into(),
    })
}

/// The CA of the cluster that the kubeconfig names, in PEM.
fn certificate_authority(kubeconfig: &std::path::Path) -> Result<Vec<u8>> {
    let parsed = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let cluster = parsed.clusters.into_iter().find_map(|named| named.cluster);
    let cluster = cluster.context("the kubeconfig names no cluster")?;
    match (
        cluster.certificate_authority_data,
        cluster.certificate_authority,
    ) {
        (Some(data), _) => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .decode(data)
                .context("certificate-authority-data")
        }
        (None, Some(file)) => std::fs::read(&file).with_context(|| file.clone()),
        (None, None) => anyhow::bail!("the kubeconfig holds no certificate authority"),
    }
}

/// The ready file appears when the last of several parts is ready.
struct Readiness {
    missing: Arc<AtomicUsize>,
    file: Option<PathBuf>,
}

impl Readiness {
    fn new(parts: usize, file: Option<PathBuf>) -> Self {
        Self {
            missing: Arc::new(AtomicUsize::new(parts)),
            file,
        }
    }

    fn token(&self) -> Box<dyn FnOnce() + Send> {
        let (missing, file) = (Arc::clone(&self.missing), self.file.clone());
        Box::new(move || {
            if missing.fetch_sub(1, Ordering::AcqRel) == 1
                && let Err(error) = announce_ready(file.as_deref())
            {
                tracing::error!("{error:#}");
            }
        })
    }
}
