//! `/configz`: the settings in the words of kube-proxy's configuration, as far as they are ours.

use crate::config::{Config, NodePortAddresses};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The answer.
pub(super) fn text(config: &Config) -> String {
    let joined = |ranges: &[ipnet::IpNet]| -> Vec<String> {
        ranges.iter().map(ToString::to_string).collect()
    };
    let address = |address: Option<SocketAddr>| {
        address.map_or_else(String::new, |address| address.to_string())
    };
    let node_ports: Value = match &config.node_port_addresses {
        NodePortAddresses::Primary => json!(["primary"]),
        NodePortAddresses::Within(ranges) => json!(joined(ranges)),
    };
    let settings = json!({
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "hostnameOverride": config.node_name,
        "healthzBindAddress": address(config.healthz),
        "metricsBindAddress": address(config.metrics),
        "mode": "nftables",
        "nftables": {"masqueradeAll": config.masquerade_all},
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": joined(&config.cluster_cidrs).join(","),
        "nodePortAddresses": node_ports,
    });
    json!({"kubeproxy.config.k8s.io": settings}).to_string()
}
