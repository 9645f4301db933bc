//! A server of a test's own.

use std::sync::Arc;

use apiserver::{ApiService, Body, Config, Identity, Server};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use store::Embedded;
use tempfile::TempDir;
use tower::Service;

/// A running server with its data; the data outlives restarts.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    store: Arc<Embedded>,
    data: TempDir,
}

impl Cluster {
    /// Starts an empty one.
    pub(crate) async fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    async fn open(data: TempDir) -> Self {
        let store = Arc::new(Embedded::open(data.path().join("store.redb")).unwrap());
        let server = Server::start(Config::new(data.path()), store.clone(), Vec::new()).await;
        let server = server.unwrap();
        Self {
            server,
            store,
            data,
        }
    }

    /// Ends the server and starts another on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.server.shutdown().await;
        self.store.close().await;
        drop(self.store);
        Self::open(self.data).await
    }

    /// Asks as the administrator.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        ask(self.server.service(), method, path, body).await
    }

    /// Asks as somebody else.
    pub(crate) async fn ask_as(&self, who: Identity, path: &str) -> (u16, Value) {
        ask(self.server.service_as(who), "GET", path, &Value::Null).await
    }

    /// Makes a ConfigMap in `default`.
    pub(crate) async fn config_map(&self, name: &str, labels: &Value) -> Value {
        let body = serde_json::json!({"metadata": {"name": name, "labels": labels}});
        let (code, made) = self.ask("POST", CONFIG_MAPS, &body).await;
        assert_eq!(code, 201, "{made}");
        made
    }
}

/// The collection that most tests use.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The resourceVersion of an object or list.
pub(crate) fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The names of a list's items.
pub(crate) fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

/// One request; an answer that is no JSON is a string.
pub(crate) async fn ask(
    service: ApiService,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let response = send(service, method, path, body).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (
        code,
        serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
    )
}

/// One request, answered with the body still open.
pub(crate) async fn send(
    mut service: ApiService,
    method: &str,
    path: &str,
    body: &Value,
) -> Response<Body> {
    let kind = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let bytes: Bytes = if body.is_null() {
        Bytes::new()
    } else {
        body.to_string().into()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind);
    service
        .call(request.body(Full::new(bytes)).unwrap())
        .await
        .unwrap()
}
