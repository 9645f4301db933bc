//! `fairway explain`: how packets reach a Service, in words and with the addresses filled in.

mod facts;
mod findings;
mod report;

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
    let facts = facts::gather(&client, flags.namespace.name(), &flags.service).await?;
    let findings = findings::of(&facts);
    anstream::print!("{}", report::of(&facts, &findings));
    Ok(if findings.iter().any(|f| f.stops) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
