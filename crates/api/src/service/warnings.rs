//! What a client is told about a Service that was accepted all the same (`GetWarningsForService`).

use serde_json::Value;

use super::spec::Spec;
use crate::field::Path;
use crate::validation::{ip, json};

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";

/// Warnings for a write of the Service itself.
pub(super) fn of_service(service: &Value) -> Vec<String> {
    let spec = Spec::of(service);
    let path = Path::new("spec");
    let mut warnings = Vec::new();
    if service["metadata"]["annotations"].get(HINTS).is_some() {
        warnings.push(format!(
            "annotation {HINTS} is deprecated, please use {MODE} instead"
        ));
    }
    if !matches!(spec.cluster_ip(), "" | "None") {
        warnings.extend(of_addresses(&spec.cluster_ips(), &path.child("clusterIPs")));
    }
    let headless = spec.kind() == "ClusterIP" && spec.cluster_ip() == "None";
    if headless {
        warnings.extend(of_headless(spec));
    }
    let external_ips = spec.external_ips();
    warnings.extend(of_addresses(&external_ips, &path.child("externalIPs")));
    if !external_ips.is_empty() && !headless && !spec.is_external_name() {
        let words =
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        warnings.push(words.to_owned());
    }
    let requested = path.child("loadBalancerIP");
    warnings.extend(ip::warnings_for_ip(&requested, spec.text("loadBalancerIP")));
    let ranges = path.child("loadBalancerSourceRanges");
    for (i, range) in spec.source_ranges().into_iter().enumerate() {
        warnings.extend(ip::warnings_for_cidr(&ranges.index(i), range));
    }
    warnings.extend(of_external_name(spec));
    if spec.text("trafficDistribution") == "PreferClose" {
        let words =
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"";
        warnings.push(words.to_owned());
    }
    warnings
}

/// Warnings for a write of the status.
pub(super) fn of_status(service: &Value) -> Vec<String> {
    let path = Path::new("status.loadBalancer.ingress");
    let ingress = json::list(service, "/status/loadBalancer/ingress");
    let addresses: Vec<&str> = ingress.iter().map(|e| json::text(e, "/ip")).collect();
    of_addresses(&addresses, &path)
}

fn of_addresses(addresses: &[&str], path: &Path) -> Vec<String> {
    let each = addresses.iter().enumerate();
    each.flat_map(|(i, address)| ip::warnings_for_ip(&path.index(i), address))
        .collect()
}

fn of_headless(spec: Spec<'_>) -> Vec<String> {
    let ignored = [
        ("loadBalancerIP", !spec.text("loadBalancerIP").is_empty()),
        ("externalIPs", !spec.external_ips().is_empty()),
        ("SessionAffinity", spec.text("sessionAffinity") != "None"),
    ];
    let ignored = ignored.into_iter().filter(|(_, set)| *set);
    ignored
        .map(|(member, _)| format!("spec.{member} is ignored for headless services"))
        .collect()
}

fn of_external_name(spec: Spec<'_>) -> Option<String> {
    let is_one = spec.is_external_name();
    if is_one && !spec.external_ips().is_empty() {
        let words = "spec.externalIPs is ignored when spec.type is \"ExternalName\"";
        Some(words.to_owned())
    } else if !is_one && !spec.text("externalName").is_empty() {
        let words = "spec.externalName is ignored when spec.type is not \"ExternalName\"";
        Some(words.to_owned())
    } else {
        None
    }
}
