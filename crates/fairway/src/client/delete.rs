//! `fairway delete`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::connect::{ask, client};
use super::{kinds, manifest};
use crate::arguments::{ClusterFlags, NamespaceFlags};

/// What to delete.
#[derive(Args, Debug)]
pub(crate) struct DeleteFlags {
    /// A kind by any of its names (`svc`)
    kind: Option<String>,
    /// Names of objects of that kind
    names: Vec<String>,
    /// The objects of a file, instead
    #[arg(short, long = "filename")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    namespace: NamespaceFlags,
}

/// Deletes what the flags name.
pub(crate) async fn run(at: ClusterFlags, flags: DeleteFlags) -> Result<ExitCode> {
    let client = client(&at).await?;
    let namespace = flags.namespace.name();
    let mut targets = Vec::new();
    for file in &flags.files {
        for target in manifest::read(&client, file, namespace).await? {
            targets.push((target.kind.label(), target.name, target.path));
        }
    }
    if let Some(word) = &flags.kind {
        let known = kinds::all(&client).await?;
        for kind in kinds::called(&known, word)? {
            let path = |name: &String| format!("{}/{name}", kind.path(Some(namespace)));
            targets.extend(
                flags
                    .names
                    .iter()
                    .map(|n| (kind.label(), n.clone(), path(n))),
            );
        }
    }
    if targets.is_empty() {
        bail!("nothing to delete: name a kind and objects (`delete svc web`) or a file (`-f`)");
    }
    for (label, name, path) in targets {
        ask(&client, "DELETE", &path, "application/json", None)
            .await
            .with_context(|| label.clone())?;
        anstream::println!("{label} \"{name}\" deleted from {namespace} namespace");
    }
    Ok(ExitCode::SUCCESS)
}
