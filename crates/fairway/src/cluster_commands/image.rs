//! `fairway image`: images for the nodes of this machine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::arguments::ClusterFlags;

/// What to do with images.
#[derive(Args, Debug)]
pub(crate) struct ImageFlags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take the images of an archive, as `docker save` writes it
    Load {
        /// The archive
        archive: PathBuf,
    },
}

/// Loads images into the store that all nodes of the machine share; no node needs to run.
pub(crate) fn run(at: ClusterFlags, flags: ImageFlags) -> Result<ExitCode> {
    let place = cluster::find(at.data_dir.as_deref())?;
    let Verb::Load { archive } = flags.verb;
    let names = node::image::load(&place.images(), &archive)
        .with_context(|| format!("cannot load {}", archive.display()))?;
    for name in names {
        anstream::println!("loaded {name}");
    }
    Ok(ExitCode::SUCCESS)
}
