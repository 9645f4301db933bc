//! What a Service may say, in the order in which Kubernetes complains (`ValidateServiceCreate`,
//! `ValidateServiceUpdate`).

pub(super) mod addresses;
mod ports;
mod status;
mod traffic;
mod update;

use serde_json::Value;

use super::spec::Spec;
use crate::field::{Path, Problem, Problems};
use crate::validation::{ip, json, labels, metadata, names};

pub(crate) use ports::protocol as protocol_problems;
pub(super) use status::update as validate_status_update;

/// Problems of a new Service.
pub(super) fn create(service: &Value) -> Problems {
    let mut problems = metadata::new_object(service, true, names::dns_label_name);
    problems.extend(any(service, None));
    problems
}

/// Problems of a changed Service.
pub(super) fn update(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata::update(new, old);
    problems.extend(update::problems(new, old));
    problems.extend(any(new, Some(old)));
    problems
}

/// The rules that hold for a Service whenever it is written.
fn any(service: &Value, old: Option<&Value>) -> Problems {
    let spec = Spec::of(service);
    let path = Path::new("spec");
    let mut problems = topology_annotations(service);
    if spec.ports().is_empty() && !spec.is_headless() && !spec.is_external_name() {
        problems.push(Problem::required(path.child("ports"), ""));
    }
    problems.extend(of_type(spec, &path));
    problems.extend(ports::each(spec, &path.child("ports")));
    problems.extend(labels::labels(
        &spec.value("selector"),
        &path.child("selector"),
    ));
    problems.extend(session_affinity(spec, &path));
    problems.extend(addresses::cluster_ips(spec, old.map(Spec::of)));
    problems.extend(external_ips(spec, old, &path.child("externalIPs")));
    problems.extend(kind(spec, &path.child("type")));
    problems.extend(ports::among_each_other(spec, &path.child("ports")));
    problems.extend(traffic::source_ranges(service, old));
    problems.extend(traffic::load_balancer(spec, &path));
    problems.extend(traffic::policies(spec, &path));
    problems
}

fn topology_annotations(service: &Value) -> Problems {
    const MODE: &str = "service.kubernetes.io/topology-mode";
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    let annotations = &service["metadata"]["annotations"];
    let (Some(mode), Some(hints)) = (annotations[MODE].as_str(), annotations[HINTS].as_str())
    else {
        return Problems::new();
    };
    if mode == hints {
        return Problems::new();
    }
    let at = Path::new("metadata.annotations").key(MODE);
    let text = format!("must match annotations[{HINTS}] when both are specified");
    vec![Problem::invalid(at, mode, text)]
}

fn of_type(spec: Spec<'_>, path: &Path) -> Problems {
    match spec.kind() {
        kind @ ("LoadBalancer" | "NodePort") if spec.is_headless() => {
            let at = path.child("clusterIPs").index(0);
            let text = format!("may not be set to 'None' for {kind} services");
            vec![Problem::invalid(at, "None", text)]
        }
        "ExternalName" => external_name(spec, path),
        _ => Problems::new(),
    }
}

fn external_name(spec: Spec<'_>, path: &Path) -> Problems {
    let set = [
        ("clusterIPs", !spec.cluster_ips().is_empty()),
        ("ipFamilies", !spec.families().is_empty()),
        ("ipFamilyPolicy", spec.policy().is_some()),
    ];
    let words = "may not be set for ExternalName services";
    let mut problems: Problems = set
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(member, _)| Problem::forbidden(path.child(member), words))
        .collect();
    let at = path.child("externalName");
    let name = spec.text("externalName");
    match name.strip_suffix('.').unwrap_or(name) {
        "" => problems.push(Problem::required(at, "")),
        name => problems.extend(labels::invalid(&at, name, names::dns_subdomain(name))),
    }
    problems
}

fn session_affinity(spec: Spec<'_>, path: &Path) -> Problems {
    let known = ["ClientIP", "None"];
    let at = path.child("sessionAffinity");
    let config = spec.value("sessionAffinityConfig");
    let mut problems = match spec.text("sessionAffinity") {
        "" => vec![Problem::required(at, "")],
        value if !known.contains(&value) => vec![Problem::not_supported(at, value, &known)],
        _ => Problems::new(),
    };
    let at = path.child("sessionAffinityConfig");
    match spec.text("sessionAffinity") {
        "ClientIP" => problems.extend(client_ip_config(&config, &at)),
        "None" if !config.is_null() => problems.push(Problem::forbidden(
            at,
            "must not be set when session affinity is None",
        )),
        _ => {}
    }
    problems
}

fn client_ip_config(config: &Value, path: &Path) -> Problems {
    let timeout = path.child("clientIP").child("timeoutSeconds");
    let missing = |at: Path| {
        vec![Problem::required(
            at,
            "when session affinity type is ClientIP",
        )]
    };
    if config.is_null() {
        return missing(path.clone());
    }
    if !json::present(config, "/clientIP") {
        return missing(path.child("clientIP"));
    }
    match config["clientIP"]["timeoutSeconds"].as_i64() {
        None => missing(timeout),
        Some(1..=86_400) => Problems::new(),
        Some(seconds) => {
            let words = "must be greater than 0 and less than 86400";
            vec![Problem::invalid(timeout, seconds, words)]
        }
    }
}

fn external_ips(spec: Spec<'_>, old: Option<&Value>, path: &Path) -> Problems {
    let known = old
        .map(|old| Spec::of(old).external_ips())
        .unwrap_or_default();
    let mut problems = Problems::new();
    for (i, address) in spec.external_ips().into_iter().enumerate() {
        let at = path.index(i);
        let faults = ip::legacy_ip(&at, address, &known);
        if faults.is_empty() {
            problems.extend(ip::endpoint_ip(&at, address));
        }
        problems.extend(faults);
    }
    problems
}

fn kind(spec: Spec<'_>, path: &Path) -> Problems {
    let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    match spec.kind() {
        "" => vec![Problem::required(path.clone(), "")],
        kind if known.contains(&kind) => Problems::new(),
        kind => vec![Problem::not_supported(path.clone(), kind, &known)],
    }
}
