//! `fairway down`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use cluster::Place;

use super::up::DEFAULT_DATA_DIR;
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
    let place = place(at.data_dir.as_deref())?;
    cluster::down(&place, flags.keep_data).await?;
    anstream::println!("the cluster of {} is gone", place.data_dir().display());
    Ok(ExitCode::SUCCESS)
}

/// The cluster that the flag names, the only one that runs, or the usual one after a reboot.
fn place(data_dir: Option<&Path>) -> Result<Place> {
    let usual = Path::new(DEFAULT_DATA_DIR);
    match cluster::find(data_dir) {
        Err(_) if data_dir.is_none() && usual.exists() => Ok(Place::of(usual)?),
        found => Ok(found?),
    }
}
