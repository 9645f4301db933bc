//! `status.loadBalancer`: where the world reaches a Service (`ValidateLoadBalancerStatus`).

use serde_json::Value;

use super::super::spec::Spec;
use crate::field::{Path, Problem, Problems};
use crate::validation::{ip, json, labels, metadata, names};

/// Problems of a write to the status.
pub(in crate::service) fn update(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata::update(new, old);
    let path = Path::new("status.loadBalancer.ingress");
    let ingress = ingress(new);
    if !Spec::of(new).is_load_balancer() && !ingress.is_empty() {
        let words = "may only be used when `spec.type` is 'LoadBalancer'";
        problems.push(Problem::forbidden(path, words));
        return problems;
    }
    let known: Vec<&str> = self::ingress(old)
        .iter()
        .map(|entry| json::text(entry, "/ip"))
        .filter(|address| !address.is_empty())
        .collect();
    for (i, entry) in ingress.iter().enumerate() {
        problems.extend(one(entry, &known, &path.index(i)));
    }
    problems
}

/// `status.loadBalancer.ingress`.
pub(in crate::service) fn ingress(service: &Value) -> &[Value] {
    json::list(service, "/status/loadBalancer/ingress")
}

fn one(entry: &Value, known: &[&str], path: &Path) -> Problems {
    let address = json::text(entry, "/ip");
    let mut problems = Problems::new();
    if !address.is_empty() {
        problems.extend(ip::legacy_ip(&path.child("ip"), address, known));
    }
    problems.extend(mode(entry, address, path.child("ipMode")));
    let name = json::text(entry, "/hostname");
    if !name.is_empty() {
        let at = path.child("hostname");
        problems.extend(labels::invalid(&at, name, names::dns_subdomain(name)));
        if ip::parse_sloppy(name).is_some() {
            let words = "must be a DNS name, not an IP address";
            problems.push(Problem::invalid(at, name, words));
        }
    }
    problems
}

fn mode(entry: &Value, address: &str, at: Path) -> Option<Problem> {
    let known = ["Proxy", "VIP"];
    match (entry["ipMode"].as_str(), address) {
        (None, "") => None,
        (None, _) => Some(Problem::required(at, "must be specified when `ip` is set")),
        (Some(_), "") => {
            let words = "may not be specified when `ip` is not set";
            Some(Problem::forbidden(at, words))
        }
        (Some(mode), _) if known.contains(&mode) => None,
        (Some(mode), _) => Some(Problem::not_supported(at, mode, &known)),
    }
}
