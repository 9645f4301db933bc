//! A Service's row in `kubectl get services`.

use jiff::Timestamp;
use serde_json::Value;

use super::spec::Spec;
use crate::age;
use crate::printer::{NAME, column, wide};
use crate::resource::Column;
use crate::validation::json::{integer, list, pairs, text};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "string"),
    column("Cluster-IP", "string"),
    column("External-IP", "string"),
    column("Port(s)", "string"),
    column("Age", "string"),
    wide("Selector"),
];

pub(super) fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let spec = Spec::of(service);
    let cluster_ip = spec.cluster_ips().first().copied().unwrap_or("<none>");
    vec![
        text(service, "/metadata/name").into(),
        spec.kind().into(),
        cluster_ip.into(),
        external(service).into(),
        ports(spec).into(),
        age::of(service, now),
        selector(service).into(),
    ]
}

fn external(service: &Value) -> String {
    let spec = Spec::of(service);
    match spec.kind() {
        "ClusterIP" | "NodePort" => joined(&spec.external_ips(), "<none>"),
        "LoadBalancer" => {
            let mut shown = ingress(service);
            shown.extend(spec.external_ips());
            joined(&shown, "<pending>")
        }
        "ExternalName" => spec.text("externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// Each ingress' address or else its name, once, in the order of the texts.
fn ingress(service: &Value) -> Vec<&str> {
    let entries = list(service, "/status/loadBalancer/ingress").iter();
    let mut shown: Vec<&str> = entries
        .map(|entry| match text(entry, "/ip") {
            "" => text(entry, "/hostname"),
            address => address,
        })
        .filter(|shown| !shown.is_empty())
        .collect();
    shown.sort_unstable();
    shown.dedup();
    shown
}

fn ports(spec: Spec<'_>) -> String {
    let shown: Vec<String> = spec.ports().iter().map(port).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    joined(&shown, "<none>")
}

fn port(port: &Value) -> String {
    let (number, protocol) = (integer(port, "/port"), text(port, "/protocol"));
    match integer(port, "/nodePort") {
        node_port if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
        _ => format!("{number}/{protocol}"),
    }
}

fn selector(service: &Value) -> String {
    let pairs = pairs(service, "/spec/selector");
    let shown: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    joined(&shown, "<none>")
}

fn joined(texts: &[&str], none: &str) -> String {
    if texts.is_empty() {
        none.to_owned()
    } else {
        texts.join(",")
    }
}
