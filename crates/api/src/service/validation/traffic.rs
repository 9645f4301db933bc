//! Where clients may come from: source ranges, load balancers and traffic policies.

use serde_json::Value;

use super::super::spec::Spec;
use crate::field::{Path, Problem, Problems};
use crate::validation::{ip, labels, names};

const RANGES_ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";

/// The source ranges, or the annotation that is read where the field is empty.
pub(super) fn source_ranges(service: &Value, old: Option<&Value>) -> Problems {
    let spec = Spec::of(service);
    if !spec.source_ranges().is_empty() {
        return ranges_field(spec, old.map(Spec::of));
    }
    let read = |object: &Value| {
        let value = &object["metadata"]["annotations"][RANGES_ANNOTATION];
        value.as_str().map(str::to_owned)
    };
    let Some(value) = read(service) else {
        return Problems::new();
    };
    let at = Path::new("metadata.annotations").key(RANGES_ANNOTATION);
    let mut problems = Problems::new();
    if !spec.is_load_balancer() {
        problems.push(Problem::forbidden(at.clone(), ONLY_LOAD_BALANCER));
    }
    let unchanged = old.and_then(read).as_ref() == Some(&value);
    if !unchanged && !value.trim().is_empty() {
        let each = value.trim().split(',').map(str::trim);
        problems.extend(each.flat_map(|range| ip::legacy_cidr(&at, range, &[])));
    }
    problems
}

fn ranges_field(spec: Spec<'_>, old: Option<Spec<'_>>) -> Problems {
    // Upstream writes this path with a capital letter.
    let at = Path::new("spec.LoadBalancerSourceRanges");
    let known = old.map(Spec::source_ranges).unwrap_or_default();
    let known: Vec<&str> = known.into_iter().map(str::trim).collect();
    let mut problems = Problems::new();
    if !spec.is_load_balancer() {
        problems.push(Problem::forbidden(at.clone(), ONLY_LOAD_BALANCER));
    }
    for (i, range) in spec.source_ranges().into_iter().enumerate() {
        problems.extend(ip::legacy_cidr(&at.index(i), range.trim(), &known));
    }
    problems
}

/// The fields that only load balancers have.
pub(super) fn load_balancer(spec: Spec<'_>, path: &Path) -> Problems {
    let mut problems = Problems::new();
    match (spec.is_load_balancer(), spec.allocate_node_ports()) {
        (false, Some(_)) => problems.push(Problem::forbidden(
            path.child("allocateLoadBalancerNodePorts"),
            ONLY_LOAD_BALANCER,
        )),
        // The path is bare upstream too.
        (true, None) => problems.push(Problem::required(
            Path::new("allocateLoadBalancerNodePorts"),
            "",
        )),
        _ => {}
    }
    problems.extend(class(spec));
    problems
}

/// `spec.loadBalancerClass`: a qualified name, for load balancers.
pub(super) fn class(spec: Spec<'_>) -> Problems {
    let at = Path::new("spec.loadBalancerClass");
    match spec.optional("loadBalancerClass") {
        None => Problems::new(),
        Some(name) if spec.is_load_balancer() => {
            labels::invalid(&at, name, names::qualified_name(name))
        }
        Some(_) => vec![Problem::forbidden(at, ONLY_LOAD_BALANCER)],
    }
}

/// External and internal traffic policy, the health-check port and the distribution.
pub(super) fn policies(spec: Spec<'_>, path: &Path) -> Problems {
    let mut problems = Problems::new();
    problems.extend(external_policy(spec, path.child("externalTrafficPolicy")));
    problems.extend(health_check_port(spec, &path.child("healthCheckNodePort")));
    problems.extend(internal_policy(spec, path.child("internalTrafficPolicy")));
    problems.extend(distribution(spec, path.child("trafficDistribution")));
    problems
}

fn external_policy(spec: Spec<'_>, at: Path) -> Option<Problem> {
    let known = ["Cluster", "Local"];
    match (
        spec.is_externally_accessible(),
        spec.text("externalTrafficPolicy"),
    ) {
        (false, "") => None,
        (false, value) => Some(Problem::invalid(
            at,
            value,
            "may only be set for externally-accessible services",
        )),
        (true, "") => Some(Problem::required(at, "")),
        (true, value) if known.contains(&value) => None,
        (true, value) => Some(Problem::not_supported(at, value, &known)),
    }
}

fn health_check_port(spec: Spec<'_>, at: &Path) -> Problems {
    let port = spec.health_check_port();
    let invalid = |text: String| Problem::invalid(at.clone(), port, text);
    match (spec.needs_health_check(), port) {
        (false, 0) => Problems::new(),
        (false, _) => {
            let words = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            vec![invalid(words.to_owned())]
        }
        (true, 0) => vec![Problem::required(at.clone(), "")],
        (true, _) => names::port_number(port).into_iter().map(invalid).collect(),
    }
}

fn internal_policy(spec: Spec<'_>, at: Path) -> Option<Problem> {
    let known = ["Cluster", "Local"];
    let needed = matches!(spec.kind(), "NodePort" | "LoadBalancer" | "ClusterIP");
    match spec.optional("internalTrafficPolicy") {
        None => needed.then(|| Problem::required(at, "")),
        Some(value) if known.contains(&value) => None,
        Some(value) => Some(Problem::not_supported(at, value, &known)),
    }
}

fn distribution(spec: Spec<'_>, at: Path) -> Option<Problem> {
    let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    let value = spec.optional("trafficDistribution")?;
    let wrong = !known.contains(&value);
    wrong.then(|| Problem::not_supported(at, value, &known))
}
