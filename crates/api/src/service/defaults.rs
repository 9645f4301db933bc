//! What a Service means where it says nothing (`SetDefaults_Service`).
//!
//! Families, policy, addresses and node ports are not defaults: they depend on the cluster, and come with
//! the allocation.

use serde_json::{Value, json};

use super::spec::Spec;
use crate::validation::json::{integer, present, remove, set};

/// `spec.sessionAffinityConfig.clientIP.timeoutSeconds`, three hours.
const AFFINITY_SECONDS: i64 = 10_800;

/// Fills in what was left out.
pub(super) fn set_defaults(service: &mut Value) {
    session_affinity(service);
    if Spec::of(service).kind().is_empty() {
        set(service, "/spec", "type", "ClusterIP");
    }
    for port in ports_mut(service) {
        port_defaults(port);
    }
    traffic_policies(service);
    if Spec::of(service).is_load_balancer() {
        if Spec::of(service).allocate_node_ports().is_none() {
            set(service, "/spec", "allocateLoadBalancerNodePorts", true);
        }
        ingress_modes(service);
    }
}

/// The ports, to be changed.
pub(super) fn ports_mut(service: &mut Value) -> &mut [Value] {
    match service.pointer_mut("/spec/ports") {
        Some(Value::Array(ports)) => ports,
        _ => &mut [],
    }
}

fn session_affinity(service: &mut Value) {
    if Spec::of(service).text("sessionAffinity").is_empty() {
        set(service, "/spec", "sessionAffinity", "None");
    }
    match Spec::of(service).text("sessionAffinity") {
        "None" => {
            remove(service, "/spec", "sessionAffinityConfig");
        }
        "ClientIP" if !has_timeout(service) => {
            let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
            set(service, "/spec", "sessionAffinityConfig", config);
        }
        _ => {}
    }
}

fn has_timeout(service: &Value) -> bool {
    let timeout = "/spec/sessionAffinityConfig/clientIP/timeoutSeconds";
    present(service, timeout)
}

fn port_defaults(port: &mut Value) {
    if port["protocol"].as_str().is_none_or(str::is_empty) {
        port["protocol"] = "TCP".into();
    }
    let unset = match &port["targetPort"] {
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(name) => name.is_empty(),
        _ => true,
    };
    if unset {
        port["targetPort"] = integer(port, "/port").into();
    }
}

fn traffic_policies(service: &mut Value) {
    let spec = Spec::of(service);
    let external = spec.is_externally_accessible() && spec.text("externalTrafficPolicy").is_empty();
    let has_address = matches!(spec.kind(), "ClusterIP" | "NodePort" | "LoadBalancer");
    let internal = has_address && spec.optional("internalTrafficPolicy").is_none();
    if external {
        set(service, "/spec", "externalTrafficPolicy", "Cluster");
    }
    if internal {
        set(service, "/spec", "internalTrafficPolicy", "Cluster");
    }
}

fn ingress_modes(service: &mut Value) {
    let Some(Value::Array(ingress)) = service.pointer_mut("/status/loadBalancer/ingress") else {
        return;
    };
    for entry in ingress {
        let has_ip = entry["ip"].as_str().is_some_and(|ip| !ip.is_empty());
        if has_ip && entry["ipMode"].is_null() {
            entry["ipMode"] = "VIP".into();
        }
    }
}
