//! Objects from files.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kube::Client;
use serde_json::Value;

use super::kinds::{self, Kind};

/// An object of a manifest, and where it goes.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) object: Value,
}

impl Target {
    /// `deployment.apps/web`, as messages have it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.kind.label(), self.name)
    }
}

/// The objects of a YAML or JSON file (`-` is standard input), lists taken apart.
pub(crate) async fn read(client: &Client, file: &Path, namespace: &str) -> Result<Vec<Target>> {
    let text = text(file)?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let known = kinds::all(client).await?;
    let mut targets = Vec::new();
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        let items = match document["items"].as_array() {
            Some(items) if document["kind"] == "List" => items.clone(),
            _ => vec![document],
        };
        for object in items {
            targets.push(
                target(&known, object, namespace).with_context(|| file.display().to_string())?,
            );
        }
    }
    if targets.is_empty() {
        bail!("{}: no objects in it", file.display());
    }
    Ok(targets)
}

fn text(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn target(known: &[Kind], object: Value, namespace: &str) -> Result<Target> {
    let text = |at: &str| {
        object
            .pointer(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api_version, kind_name, name) =
        (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let fits =
        |kind: &&Kind| kind.kind == kind_name && kind.group == group && kind.version == version;
    let Some(kind) = known.iter().find(fits).cloned() else {
        bail!("no matches for kind \"{kind_name}\" in version \"{api_version}\"");
    };
    if name.is_empty() {
        bail!("{kind_name}: metadata.name is missing");
    }
    let own = text("/metadata/namespace");
    let namespace = if own.is_empty() { namespace } else { &own };
    let path = format!("{}/{name}", kind.path(Some(namespace)));
    Ok(Target {
        kind,
        name,
        path,
        object,
    })
}
