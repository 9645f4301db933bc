//! `fairway image`: what pods can run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::arguments::ClusterFlags;
use crate::client::table::aligned;

/// What to do with images.
#[derive(Args, Debug)]
pub(crate) struct ImageFlags {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Load the images of an archive (docker save -o ARCHIVE IMAGE); a running cluster has them at once
    Load {
        /// The archive
        archive: PathBuf,
    },
    /// Show the images that pods can run
    List,
}

/// Loads or lists, for a cluster that runs or for a data directory.
pub(crate) fn run(at: &ClusterFlags, flags: &ImageFlags) -> Result<ExitCode> {
    let store = cluster::find(at.data_dir.as_deref())
        .context("which cluster's images? (--data-dir names one that does not run)")?
        .images();
    match &flags.action {
        Action::Load { archive } => load(&store, archive),
        Action::List => list(&store),
    }
}

fn load(store: &Path, archive: &Path) -> Result<ExitCode> {
    let what = || format!("cannot load {}", archive.display());
    for name in node::image::load(store, archive).with_context(what)? {
        anstream::println!("loaded {name}");
    }
    Ok(ExitCode::SUCCESS)
}

fn list(store: &Path) -> Result<ExitCode> {
    let mut rows = vec![["IMAGE", "DIGEST", "SIZE"].map(String::from).to_vec()];
    for image in node::image::list(store)? {
        let digest = image.digest.trim_start_matches("sha256:");
        let short = digest.chars().take(12).collect();
        rows.push(vec![image.name, short, size(image.bytes)]);
    }
    anstream::println!("{}", aligned(&rows).join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// As in `4.2MB`, the way image tools print it.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    match unit {
        Some((unit, name)) => format!("{}.{}{name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let cases = [(7, "7B"), (1_400, "1.4kB"), (64_000_000, "64.0MB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
