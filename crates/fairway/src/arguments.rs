//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::client::{apply, delete, explain, get, logs};
use crate::cluster_commands::{down, exec, image, up};
use crate::roles::{balancer, node, pod, proxy, server};

/// The whole path of a Kubernetes Service in one program: from `apply` to the packet that reaches a pod.
#[derive(Debug, Parser)]
#[command(name = "fairway", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    /// Enter this network namespace before anything else (roles only)
    #[arg(long, global = true, hide = true, value_name = "PATH")]
    pub(crate) network_namespace: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster a command is for.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterFlags {
    /// The cluster's data directory; without it: the only cluster that runs
    #[arg(
        long,
        global = true,
        env = "FAIRWAY_DATA_DIR",
        value_name = "DIRECTORY"
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Talk to any Kubernetes cluster by its kubeconfig
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// The namespace of a command.
#[derive(Args, Clone, Debug)]
pub(crate) struct NamespaceFlags {
    /// The namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

impl NamespaceFlags {
    pub(crate) fn name(&self) -> &str {
        &self.namespace
    }
}

/// The commands: first what people use, then the roles that `up` starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a cluster: API server, controllers, nodes, and an external load balancer
    Up(up::UpFlags),
    /// End a cluster and remove every trace of it
    Down(down::DownFlags),
    /// Show which parts of the cluster run
    Status,
    /// Show objects as tables
    Get(get::GetFlags),
    /// Create or change the objects of a file
    Apply(apply::ApplyFlags),
    /// Delete objects
    Delete(delete::DeleteFlags),
    /// Show a container's log
    Logs(logs::LogsFlags),
    /// Say how packets reach a Service, and where they stop if they do
    Explain(explain::ExplainFlags),
    /// Load images, and show those that pods can run
    Image(image::ImageFlags),
    /// Run a command inside a node, or in a client outside the cluster
    Exec(exec::ExecFlags),
    /// Print the version
    Version,
    /// Role: the API server, with its store and controllers
    Server(Box<server::ServerFlags>),
    /// Role: a node that runs pods and its proxy
    Node(Box<node::NodeFlags>),
    /// Role: a node's Service proxy, for any Kubernetes cluster
    Proxy(Box<proxy::ProxyFlags>),
    /// Role: the external load balancer, for any Kubernetes cluster
    Balancer(Box<balancer::BalancerFlags>),
    /// Role: the supervisor of one pod (started by `node`)
    #[command(hide = true)]
    Pod(pod::PodFlags),
}
