//! What stops packets, or may surprise: each finding quotes the field that proves it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::dials::Outcome;
use super::facts::{Facts, target};
use super::report::joined;

/// So many wrong letters still look like the same word.
const MOST_TYPING_ERRORS: usize = 3;

/// One thing found.
pub(super) struct Finding {
    /// Whether packets stop here, or it is only good to know.
    pub(super) stops: bool,
    /// What it is, what proves it, and what to do.
    pub(super) text: String,
}

fn stop(text: impl Into<String>) -> Finding {
    Finding {
        stops: true,
        text: text.into(),
    }
}

fn note(text: impl Into<String>) -> Finding {
    Finding {
        stops: false,
        text: text.into(),
    }
}

/// Everything found, in the order of a packet's way.
pub(super) fn of(facts: &Facts) -> Vec<Finding> {
    if facts.kind() == "ExternalName" {
        return external_name(facts);
    }
    let mut found = Vec::new();
    found.extend(frontends(facts));
    found.extend(selector(facts));
    found.extend(pods(facts));
    found.extend(
        facts
            .spec()
            .ports
            .iter()
            .flatten()
            .flat_map(|port| endpoints(facts, port)),
    );
    found.extend(dials(facts));
    found.extend(policies(facts));
    found
}

/// A name that cannot be one.
fn external_name(facts: &Facts) -> Vec<Finding> {
    let name = facts.spec().external_name.unwrap_or_default();
    match name.parse::<std::net::IpAddr>() {
        Ok(_) => vec![stop(format!(
            "spec.externalName is \"{name}\", which looks like an address: DNS treats it as a name of digits, and resolvers find nothing. For an address write a Service without a selector, and an EndpointSlice."
        ))],
        Err(_) => Vec::new(),
    }
}

/// Endpoints that were dialled and did not accept.
fn dials(facts: &Facts) -> Vec<Finding> {
    let ports = facts.spec().ports.unwrap_or_default();
    let mut found = Vec::new();
    for port in &ports {
        let ready: Vec<_> = facts
            .endpoints(port)
            .into_iter()
            .filter(|e| e.ready)
            .collect();
        let failed = facts.failed_dials.iter().filter(|failed| {
            ready
                .iter()
                .any(|e| e.address == failed.address && e.port == failed.port)
        });
        let failed: Vec<_> = failed.collect();
        let all = failed.len() == ready.len();
        for failed in failed {
            let why = match failed.outcome {
                Outcome::Refused => "refuses connections: nothing listens there",
                Outcome::Silent => "gives no answer to a connection",
            };
            let text = format!(
                "port {}: {} {why}{}",
                port.port,
                joined(&failed.address, failed.port),
                declared(facts, &failed.address)
            );
            found.push(Finding { stops: all, text });
        }
    }
    found
}

/// The ports that the pod of an address declares, as a hint.
fn declared(facts: &Facts, address: &str) -> String {
    let has = |pod: &&Pod| {
        let status = pod.status.as_ref();
        let addresses = status.and_then(|status| status.pod_ips.as_ref());
        addresses.is_some_and(|all| all.iter().any(|one| one.ip == address))
    };
    let pods = facts
        .pods
        .iter()
        .find(has)
        .and_then(|pod| pod.spec.as_ref());
    let containers = pods.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let ports: Vec<String> = ports.map(|port| port.container_port.to_string()).collect();
    if ports.is_empty() {
        String::new()
    } else {
        format!(" (the pod declares {})", ports.join(", "))
    }
}

/// Addresses that nobody serves.
fn frontends(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let label = "service.kubernetes.io/service-proxy-name";
    if let Some(value) = facts
        .service
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get(label))
    {
        found.push(stop(format!(
            "metadata.labels[{label}] is \"{value}\": the node's proxy leaves this Service to another one. Remove the label, or run that proxy."
        )));
    }
    if facts.kind() != "LoadBalancer" || !facts.ingress().is_empty() {
        return found;
    }
    let warning = facts
        .events
        .iter()
        .rev()
        .find(|e| e.type_.as_deref() == Some("Warning"));
    let said = warning.and_then(|event| event.message.clone());
    let class = facts.spec().load_balancer_class;
    found.push(stop(match (said, class) {
        (Some(said), _) => format!(
            "status.loadBalancer has no address yet (EXTERNAL-IP is <pending>). The last warning says: {said}"
        ),
        (None, Some(class)) => format!(
            "status.loadBalancer has no address: spec.loadBalancerClass is \"{class}\", so only a load balancer of that class may serve it, and none has."
        ),
        (None, None) => "status.loadBalancer has no address (EXTERNAL-IP is <pending>), and no load balancer has said anything: does one run, with a pool? Node ports work meanwhile.".to_owned(),
    }));
    found
}

/// A selector that matches nothing, with the nearest miss.
fn selector(facts: &Facts) -> Vec<Finding> {
    let selector = facts.spec().selector.unwrap_or_default();
    if selector.is_empty() {
        return match facts.slices.is_empty() {
            true => vec![stop(
                "spec.selector is empty and there is no EndpointSlice labelled kubernetes.io/service-name: nobody says where packets should go. Add a selector, or write EndpointSlices.",
            )],
            false => Vec::new(),
        };
    }
    if !facts.selected().is_empty() {
        return Vec::new();
    }
    let wanted = selector
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect::<Vec<_>>()
        .join(",");
    let near = facts
        .pods
        .iter()
        .filter_map(|pod| nearest_miss(pod, &selector));
    let near = near.min_by_key(|(distance, _)| *distance);
    let near = near.map_or(String::new(), |(_, miss)| format!(" Nearest: {miss}."));
    vec![stop(format!(
        "spec.selector {wanted} matches no pod of namespace {}.{near}",
        facts.namespace()
    ))]
}

/// A pod that has all labels but one, and how far it is from having that one too.
fn nearest_miss(pod: &Pod, selector: &BTreeMap<String, String>) -> Option<(usize, String)> {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let missed: Vec<_> = selector
        .iter()
        .filter(|(k, v)| labels.get(*k) != Some(v))
        .collect();
    let [(key, wanted)] = missed.as_slice() else {
        return None;
    };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match labels.get(*key) {
        Some(has) => {
            let distance = distance(has, wanted);
            // One label that is quite different says nothing.
            let near = selector.len() > 1 || distance <= MOST_TYPING_ERRORS;
            near.then(|| {
                (
                    distance,
                    format!("pod {name} has {key}={has} instead of {wanted}"),
                )
            })
        }
        None if selector.len() > 1 => Some((usize::MAX, format!("pod {name} has no label {key}"))),
        None => None,
    }
}

/// How many letters must be changed, added or taken away.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for column in 0..other.len() {
            let changed = corner + usize::from(letter != other[column]);
            corner = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

/// Selected pods that do not serve, and why.
fn pods(facts: &Facts) -> Vec<Finding> {
    let selected = facts.selected();
    let reasons: Vec<String> = selected.iter().filter_map(|pod| unready(pod)).collect();
    let all = !selected.is_empty() && reasons.len() == selected.len();
    reasons
        .into_iter()
        .map(|text| Finding { stops: all, text })
        .collect()
}

fn unready(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(format!(
            "pod {name} is being deleted: it gets no new connections while others are ready"
        ));
    }
    if phase == "Failed" || phase == "Succeeded" {
        return Some(format!(
            "pod {name} has ended (status.phase {phase}): it is never an endpoint"
        ));
    }
    let conditions = status.conditions.unwrap_or_default();
    let unmet = |kind: &str| {
        conditions
            .iter()
            .find(|c| c.type_ == kind && c.status != "True")
    };
    if let Some(condition) = unmet("PodScheduled") {
        let why = condition.message.clone().unwrap_or_default();
        return Some(format!("pod {name} has no node yet: {why}"));
    }
    for container in status.container_statuses.unwrap_or_default() {
        let waiting = container
            .state
            .as_ref()
            .and_then(|state| state.waiting.clone());
        if let Some(waiting) = waiting {
            let reason = waiting.reason.unwrap_or_default();
            let why = waiting.message.unwrap_or_default();
            return Some(format!(
                "pod {name}: container {} waits: {reason} {why}",
                container.name
            ));
        }
    }
    let condition = unmet("Ready")?;
    let why = condition
        .message
        .clone()
        .or(condition.reason.clone())
        .unwrap_or_default();
    Some(format!(
        "pod {name} is not ready ({why}): its readiness probe must pass before it gets packets"
    ))
}

/// A port that leads nowhere.
fn endpoints(facts: &Facts, port: &ServicePort) -> Vec<Finding> {
    let found = facts.endpoints(port);
    if found.iter().any(|e| e.ready) {
        return Vec::new();
    }
    let number = port.port;
    if found.iter().any(|e| e.serving && e.terminating) {
        return vec![note(format!(
            "port {number}: only terminating endpoints are left; they serve until they end"
        ))];
    }
    let selected = facts.selected();
    if let Some(IntOrString::String(name)) = &port.target_port
        && !selected.is_empty()
        && !selected.iter().any(|pod| has_port(pod, name, port))
    {
        return vec![stop(format!(
            "port {number}: spec.ports[].targetPort \"{name}\" is no container port's name (with the same protocol) in any selected pod"
        ))];
    }
    vec![stop(format!(
        "port {number}: no endpoint is ready, so connections are refused (target port {})",
        target(port)
    ))]
}

fn has_port(pod: &Pod, name: &str, port: &ServicePort) -> bool {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.flat_map(|c| c.ports.iter().flatten()).any(|p| {
        p.name.as_deref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol
    })
}

/// Policies under which some nodes do not answer.
fn policies(facts: &Facts) -> Vec<Finding> {
    let spec = facts.spec();
    let mut found = Vec::new();
    let ports: Vec<ServicePort> = spec.ports.clone().unwrap_or_default();
    let nodes = facts
        .nodes
        .iter()
        .filter_map(|node| node.metadata.name.clone());
    let without: Vec<String> = nodes
        .filter(|node| !ports.iter().any(|port| facts.is_local(port, node)))
        .collect();
    let list = without.join(", ");
    if spec.external_traffic_policy.as_deref() == Some("Local") && !without.is_empty() {
        let avoided = match facts.kind().as_str() {
            "LoadBalancer" => "; the load balancer avoids such nodes",
            _ => "",
        };
        found.push(note(format!(
            "spec.externalTrafficPolicy is Local, and no pod that is ready runs on {list}: a client outside that dials such a node gets no answer (a timeout){avoided}"
        )));
    }
    if spec.internal_traffic_policy.as_deref() == Some("Local") && !without.is_empty() {
        found.push(note(format!(
            "spec.internalTrafficPolicy is Local, and no pod that is ready runs on {list}: there the cluster address gives no answer (a timeout)"
        )));
    }
    if let Some(ranges) = spec
        .load_balancer_source_ranges
        .filter(|ranges| !ranges.is_empty())
    {
        found.push(note(format!(
            "spec.loadBalancerSourceRanges: only {} may dial the load balancer's address; others get no answer",
            ranges.join(", ")
        )));
    }
    found
}
