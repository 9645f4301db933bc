//! From flags to a client of the API.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use http::Request;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::arguments::ClusterFlags;

/// A client for the cluster that the flags name: a kubeconfig, a data directory, or the only one that runs.
pub(crate) async fn client(at: &ClusterFlags) -> Result<Client> {
    if let Some(path) = &at.kubeconfig {
        return from_kubeconfig(path).await;
    }
    let place = cluster::find(at.data_dir.as_deref())?;
    let path = place.kubeconfig();
    match std::fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "no cluster runs in {} (start one with: fairway up)",
            place.data_dir().display()
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
            "{} may be read by its owner only (say: sudo fairway ..., or give a file of your own with --kubeconfig)",
            path.display()
        ),
        _ => from_kubeconfig(&path).await,
    }
}

/// A client from a kubeconfig file.
pub(crate) async fn from_kubeconfig(path: &Path) -> Result<Client> {
    let what = || format!("kubeconfig {}", path.display());
    let kubeconfig = Kubeconfig::read_from(path).with_context(what)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .with_context(what)?;
    Client::try_from(config).with_context(what)
}

/// One request with a JSON answer.
pub(crate) async fn ask(
    client: &Client,
    method: &str,
    path: &str,
    accept: &str,
    body: Option<(&str, Vec<u8>)>,
) -> Result<Value> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("Accept", accept);
    let (content_type, bytes) = body.unwrap_or_default();
    if !content_type.is_empty() {
        request = request.header("Content-Type", content_type);
    }
    Ok(client.request(request.body(bytes)?).await?)
}

/// One GET with a JSON answer.
pub(crate) async fn read(client: &Client, path: &str) -> Result<Value> {
    ask(client, "GET", path, "application/json", None).await
}
