//! `fairway explain`: how packets reach a Service, in words and with the addresses filled in.

mod dials;
mod facts;
mod findings;
mod report;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::connect::client;
use crate::arguments::{ClusterFlags, NamespaceFlags};

/// Which Service.
#[derive(Args, Debug)]
pub(crate) struct ExplainFlags {
    /// The Service's name
    service: String,
    #[command(flatten)]
    namespace: NamespaceFlags,
}

/// Prints the report. The status is 0 only if nothing stops a packet.
pub(crate) async fn run(at: ClusterFlags, flags: ExplainFlags) -> Result<ExitCode> {
    let client = client(&at).await?;
    let mut facts = facts::gather(&client, flags.namespace.name(), &flags.service).await?;
    // Only where the cluster is on this machine, and who asks may enter its nodes.
    if at.kubeconfig.is_none() && kernel::process::is_root() {
        let place = cluster::find(at.data_dir.as_deref())?;
        facts.failed_dials = tokio::task::block_in_place(|| dials::failed(&place, &facts));
    }
    let findings = findings::of(&facts);
    anstream::print!("{}", report::of(&facts, &findings));
    Ok(if findings.iter().any(|f| f.stops) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
