//! `fairway down`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::arguments::ClusterFlags;

/// What stays.
#[derive(Args, Debug)]
pub(crate) struct DownFlags {
    /// Leave the data directory as it is, so that the next `up` finds its objects and images
    #[arg(long)]
    keep_data: bool,
}

/// Ends the cluster and removes every trace of it.
pub(crate) async fn run(at: ClusterFlags, flags: DownFlags) -> Result<ExitCode> {
    let place = cluster::find(at.data_dir.as_deref())?;
    cluster::down(&place, flags.keep_data).await?;
    anstream::println!("the cluster of {} is gone", place.data_dir().display());
    Ok(ExitCode::SUCCESS)
}
