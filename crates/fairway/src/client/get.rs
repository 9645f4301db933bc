//! `fairway get`: tables for those without kubectl.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use kube::Client;
use serde_json::Value;

use super::connect::{ask, client, read};
use super::kinds::{self, Kind};
use super::table;
use crate::arguments::{ClusterFlags, NamespaceFlags};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// What to show, and how.
#[derive(Args, Debug)]
pub(crate) struct GetFlags {
    /// A kind by any of its names (`svc`), several (`pods,svc`), or `all`
    kinds: String,
    /// Only the object of this name
    name: Option<String>,
    #[command(flatten)]
    namespace: NamespaceFlags,
    /// From all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// `wide`, `json` or `yaml`
    #[arg(short, long, value_parser = ["wide", "json", "yaml"])]
    output: Option<String>,
}

/// Prints what the flags ask for.
pub(crate) async fn run(at: ClusterFlags, flags: GetFlags) -> Result<ExitCode> {
    let client = client(&at).await?;
    let known = kinds::all(&client).await?;
    let mut wanted = Vec::new();
    for word in flags.kinds.split(',') {
        wanted.extend(kinds::called(&known, word)?);
    }
    match flags.output.as_deref() {
        Some("json" | "yaml") => documents(&client, &wanted, &flags).await,
        _ => tables(&client, &wanted, &flags).await,
    }
}

async fn tables(client: &Client, wanted: &[Kind], flags: &GetFlags) -> Result<ExitCode> {
    let (wide, many) = (flags.output.is_some(), wanted.len() > 1);
    let mut groups = Vec::new();
    for kind in wanted {
        let found = ask(client, "GET", &path(kind, flags), TABLE, None).await?;
        if found["rows"]
            .as_array()
            .is_some_and(|rows| !rows.is_empty())
        {
            let prefix = if many {
                format!("{}/", kind.label())
            } else {
                String::new()
            };
            groups.push(table::lines(&found, &prefix, wide, flags.all_namespaces).join("\n"));
        }
    }
    if groups.is_empty() {
        let place = if flags.all_namespaces {
            String::new()
        } else {
            format!(" in {} namespace.", flags.namespace.name())
        };
        anstream::eprintln!("No resources found{place}");
    } else {
        anstream::println!("{}", groups.join("\n\n"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn documents(client: &Client, wanted: &[Kind], flags: &GetFlags) -> Result<ExitCode> {
    let [kind] = wanted else {
        bail!("-o json and -o yaml show one kind at a time")
    };
    let document: Value = read(client, &path(kind, flags)).await?;
    let text = match flags.output.as_deref() {
        Some("yaml") => serde_saphyr::to_string(&document)?,
        _ => format!("{}\n", serde_json::to_string_pretty(&document)?),
    };
    anstream::print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn path(kind: &Kind, flags: &GetFlags) -> String {
    let namespace = (!flags.all_namespaces).then(|| flags.namespace.name());
    let mut path = kind.path(namespace);
    if let Some(name) = &flags.name {
        path = format!("{path}/{name}");
    }
    if let Some(selector) = &flags.selector {
        path = format!(
            "{path}?labelSelector={}",
            selector.replace(',', "%2C").replace('=', "%3D")
        );
    }
    path
}
