//! Objects that every cluster has: four namespaces, two priority classes, the service range, and the Service `kubernetes` through which
//! pods reach this server (`kubernetes/pkg/controlplane/controller`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::priority_class;
use http::header::CONTENT_TYPE;
use http::request::Builder;
use http::{Method, Request};
use http_body_util::BodyExt;
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::api_state::{Api, now};
use crate::call::Call;
use crate::dispatch;
use crate::identity::Identity;

/// How often it is seen to that they are still there.
const EVERY: Duration = Duration::from_secs(10);

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Makes what is missing.
///
/// # Errors
/// Which object could not be made, and why.
pub(crate) async fn ensure(api: &Arc<Api>) -> Result<(), String> {
    for name in NAMESPACES {
        let namespace = json!({"metadata": {"name": name}});
        create(api, "/api/v1/namespaces", ("", "namespaces"), &namespace).await?;
    }
    for class in &priority_class::SYSTEM {
        let object = json!({
            "metadata": {"name": class.name}, "value": class.value, "description": class.description,
            "preemptionPolicy": priority_class::PREEMPT,
        });
        let (group, plural) = ("scheduling.k8s.io", "priorityclasses");
        let path = format!("/apis/{group}/v1/{plural}");
        create(api, &path, (group, plural), &object).await?;
    }
    let ranges: Vec<String> = api
        .config
        .service_cidrs
        .iter()
        .map(IpNet::to_string)
        .collect();
    let cidr = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ranges}});
    let group = "networking.k8s.io";
    let path = format!("/apis/{group}/v1/servicecidrs");
    create(api, &path, (group, "servicecidrs"), &cidr).await?;
    default_range_is_ready(api, &path).await?;
    if let Some(service) = service(api) {
        let path = "/api/v1/namespaces/default/services";
        create(api, path, ("", "services"), &service).await?;
    }
    endpoints(api).await
}

/// Says once that addresses come from the default range (`defaultservicecidr` controller).
async fn default_range_is_ready(api: &Arc<Api>, path: &str) -> Result<(), String> {
    api.fresh().await.map_err(|status| status.message)?;
    let cache = api.registry.kind("networking.k8s.io", "servicecidrs");
    let said = |range: &Value| range.pointer("/status/conditions/0").is_some();
    if cache
        .get("", "kubernetes")
        .is_none_or(|range| said(&range.value()))
    {
        return Ok(());
    }
    let message = "Kubernetes default Service CIDR is ready";
    let condition =
        json!({"type": "Ready", "status": "True", "message": message, "lastTransitionTime": now()});
    let applied = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"}, "status": {"conditions": [condition]},
    });
    let uri = format!("{path}/kubernetes/status?fieldManager=kubernetes-service-cidr-controller");
    let request = Request::patch(uri).header(CONTENT_TYPE, "application/apply-patch+yaml");
    send(api, request, &applied).await
}

/// Makes them again when somebody removes them.
pub(crate) async fn keep(api: Arc<Api>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(why) = ensure(&api).await {
            tracing::warn!("cannot keep the cluster's own objects: {why}");
        }
    }
}

/// The first usable address of a range: the cluster IP of `default/kubernetes`.
pub(crate) fn first_address(range: &IpNet) -> Option<IpAddr> {
    match range {
        IpNet::V4(range) => range.hosts().next().map(IpAddr::V4),
        IpNet::V6(range) => {
            let first = u128::from(range.network()).checked_add(1)?;
            Some(IpAddr::V6(first.into()))
        }
    }
}

fn service(api: &Api) -> Option<Value> {
    let address = first_address(api.config.service_cidrs.first()?)?;
    let port = api.config.advertise.map_or(6443, |(_, port)| port);
    Some(json!({
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "type": "ClusterIP", "clusterIP": address,
            "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    }))
}

/// The endpoints of `default/kubernetes`: where this server is reached from nodes and pods.
async fn endpoints(api: &Arc<Api>) -> Result<(), String> {
    let Some((address, port)) = api.config.advertise else {
        return Ok(());
    };
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let old = json!({
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    });
    let path = "/api/v1/namespaces/default/endpoints";
    put(api, path, ("", "endpoints"), "/subsets", &old).await?;
    let slice = json!({
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": ports,
    });
    let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    put(
        api,
        path,
        ("discovery.k8s.io", "endpointslices"),
        "/endpoints",
        &slice,
    )
    .await
}

async fn create(
    api: &Arc<Api>,
    path: &str,
    kind: (&str, &str),
    object: &Value,
) -> Result<(), String> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    if api
        .registry
        .kind(kind.0, kind.1)
        .get(namespace, name)
        .is_some()
    {
        return Ok(());
    }
    ask(api, &Method::POST, path, object).await
}

/// Creates, or replaces what differs at `part`.
async fn put(
    api: &Arc<Api>,
    path: &str,
    kind: (&str, &str),
    part: &str,
    object: &Value,
) -> Result<(), String> {
    match api
        .registry
        .kind(kind.0, kind.1)
        .get("default", "kubernetes")
    {
        None => ask(api, &Method::POST, path, object).await,
        Some(found) if found.value().pointer(part) == object.pointer(part) => Ok(()),
        Some(_) => ask(api, &Method::PUT, &format!("{path}/kubernetes"), object).await,
    }
}

async fn ask(api: &Arc<Api>, method: &Method, path: &str, object: &Value) -> Result<(), String> {
    let uri = format!("{path}?fieldManager=kube-apiserver");
    let request = Request::builder().method(method).uri(uri);
    send(api, request, object).await
}

async fn send(api: &Arc<Api>, request: Builder, object: &Value) -> Result<(), String> {
    let request = request.body(()).map_err(|e| e.to_string())?;
    let (parts, ()) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.clone());
    let call = Call::new(parts, object.to_string().into(), Identity::administrator());
    let response = dispatch::answer(api.clone(), call).await;
    if response.status().is_success() || response.status() == http::StatusCode::CONFLICT {
        return Ok(());
    }
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Err(format!(
        "{method} {path}: {}",
        String::from_utf8_lossy(&body)
    ))
}
