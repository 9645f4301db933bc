//! `fairway apply`: server-side apply, for those without kubectl.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;

use super::connect::{ask, client, read};
use super::manifest;
use crate::arguments::{ClusterFlags, NamespaceFlags};

/// What to apply.
#[derive(Args, Debug)]
pub(crate) struct ApplyFlags {
    /// File with YAML or JSON objects; `-` is standard input
    #[arg(short, long = "filename", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    namespace: NamespaceFlags,
}

/// Applies every object of the files, in order.
pub(crate) async fn run(at: ClusterFlags, flags: ApplyFlags) -> Result<ExitCode> {
    let client = client(&at).await?;
    for file in &flags.files {
        for target in manifest::read(&client, file, flags.namespace.name()).await? {
            let before = read(&client, &target.path).await.unwrap_or_default();
            let path = format!(
                "{}?fieldManager=fairway&fieldValidation=Strict",
                target.path
            );
            let body = serde_json::to_vec(&target.object)?;
            let patch = Some(("application/apply-patch+yaml", body));
            let after = ask(&client, "PATCH", &path, "application/json", patch)
                .await
                .with_context(|| target.label())?;
            anstream::println!("{} {}", target.label(), outcome(&before, &after));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn outcome(before: &Value, after: &Value) -> &'static str {
    let (was, is) = (&before["metadata"], &after["metadata"]);
    match () {
        () if was["uid"] != is["uid"] => "created",
        () if was["resourceVersion"] == is["resourceVersion"] => "unchanged",
        () => "configured",
    }
}
