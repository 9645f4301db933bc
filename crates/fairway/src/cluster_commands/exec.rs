//! `fairway exec`: a command inside a node, the balancer, or an outside client.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::arguments::ClusterFlags;

/// Where, and what.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["node", "client", "balancer"]))]
pub(crate) struct ExecFlags {
    /// Inside this node
    #[arg(long)]
    node: Option<String>,
    /// In a client outside the cluster, on the same network as the nodes
    #[arg(long)]
    client: bool,
    /// Beside the external load balancer
    #[arg(long)]
    balancer: bool,
    /// The command
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the command, in the network of that place.
pub(crate) fn run(at: &ClusterFlags, flags: &ExecFlags) -> Result<ExitCode> {
    let place = cluster::find(at.data_dir.as_deref())?;
    if !kernel::process::is_root() {
        bail!(
            "exec must be started by root (sudo fairway exec ...): it enters another network namespace"
        );
    }
    let member = match (&flags.node, flags.client) {
        (Some(node), _) => node.as_str(),
        (None, true) => "client",
        (None, false) => "balancer",
    };
    let mut command = place.command_in(member, &flags.command)?;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", flags.command[0].display()))
}
