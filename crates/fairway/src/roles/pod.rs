//! `fairway pod`: the supervisor of one pod. Started by `node`, never by people.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;

/// What the supervisor is told.
#[derive(Args, Debug)]
pub(crate) struct PodFlags {
    /// The file with its settings
    config: PathBuf,
}

/// Runs until the pod has ended. One thread, from the first instruction to the last.
pub(crate) fn run(flags: &PodFlags) -> Result<ExitCode> {
    let config = pod::Config::read(&flags.config)
        .with_context(|| format!("the pod's settings in {}", flags.config.display()))?;
    pod::run(config)?;
    Ok(ExitCode::SUCCESS)
}
