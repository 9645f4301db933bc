//! The report: each port's paths, what the numbers in PORT(S) mean, and who may dial from where.

use k8s_openapi::api::core::v1::ServicePort;

use super::facts::{Endpoint, Facts, target};
use super::findings::Finding;

/// The whole text.
pub(super) fn of(facts: &Facts, findings: &[Finding]) -> String {
    let mut lines = vec![format!(
        "Service {}/{}, type {}",
        facts.namespace(),
        facts.name(),
        facts.kind()
    )];
    let spec = facts.spec();
    if facts.kind() == "ExternalName" {
        let name = spec.external_name.unwrap_or_default();
        lines.push(String::new());
        lines.push(format!(
            "A name only: cluster DNS answers with {name}. No packet is forwarded."
        ));
    } else {
        lines.extend(
            spec.ports
                .iter()
                .flatten()
                .flat_map(|port| port_lines(facts, port)),
        );
        lines.extend(verdict(findings));
    }
    lines.join("\n") + "\n"
}

fn verdict(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, stops) in [("Where it stops", true), ("Good to know", false)] {
        let found = findings.iter().filter(|finding| finding.stops == stops);
        let texts: Vec<String> = found
            .map(|finding| format!("  - {}", finding.text))
            .collect();
        if !texts.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(texts);
        }
    }
    if !findings.iter().any(|finding| finding.stops) {
        lines.extend([String::new(), "Nothing stops a packet.".to_owned()]);
    }
    lines
}

fn port_lines(facts: &Facts, port: &ServicePort) -> Vec<String> {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let node_port = port.node_port.filter(|number| *number > 0);
    let shown = match node_port {
        Some(number) => format!("{}:{number}/{protocol}", port.port),
        None => format!("{}/{protocol}", port.port),
    };
    let mut lines = vec![
        String::new(),
        format!("PORT(S) {shown}"),
        format!("  {:<6} the port of the Service's own addresses", port.port),
    ];
    lines.extend(node_port.map(|n| format!("  {n:<6} the same port, open on every node")));
    lines.push(format!(
        "  {:<6} the port that the pods listen on (targetPort)",
        target(port)
    ));
    lines.extend(from_outside(facts, port, node_port));
    lines.extend(from_inside(facts, port));
    let endpoints = facts.endpoints(port);
    let ready = endpoints.iter().filter(|endpoint| endpoint.ready).count();
    lines.extend([
        String::new(),
        format!("  Endpoints: {ready} ready of {}", endpoints.len()),
    ]);
    lines.extend(endpoints.iter().map(endpoint_line));
    lines
}

fn endpoint_line(endpoint: &Endpoint) -> String {
    let state = match (endpoint.ready, endpoint.terminating) {
        (true, _) => "ready",
        (false, true) => "terminating",
        (false, false) => "not ready",
    };
    let named = |what: &str, name: &str| {
        if name.is_empty() {
            String::new()
        } else {
            format!(" {what} {name}")
        }
    };
    let (pod, node) = (named("pod", &endpoint.pod), named("on", &endpoint.node));
    format!(
        "    {}{pod}{node}, {state}",
        joined(&endpoint.address, endpoint.port)
    )
}

fn from_outside(facts: &Facts, port: &ServicePort, node_port: Option<i32>) -> Vec<String> {
    let spec = facts.spec();
    let nodes = facts.node_addresses();
    let on_nodes = |number: i32| {
        let dialled = nodes.iter().map(|(_, address)| joined(address, number));
        dialled.collect::<Vec<_>>().join(", ")
    };
    let pods = pods(facts, port);
    let mut lines = Vec::new();
    for address in facts.ingress() {
        let node = match node_port {
            Some(number) => format!("           -> {}   any node", on_nodes(number)),
            None => "           -> any node, the destination kept (no node port)".to_owned(),
        };
        let address = joined(&address, port.port);
        lines.extend([
            String::new(),
            "  From outside, by the load balancer".to_owned(),
            format!("    client -> {address}   the load balancer's address"),
            node,
            format!("           -> {pods}"),
        ]);
    }
    for address in spec.external_ips.iter().flatten() {
        lines.extend([
            String::new(),
            "  From outside, by an external address that is routed to a node".to_owned(),
            format!("    client -> {} -> {pods}", joined(address, port.port)),
        ]);
    }
    if let Some(number) = node_port {
        lines.extend([
            String::new(),
            "  From outside, by any node".to_owned(),
            format!("    client -> {}", on_nodes(number)),
            format!("           -> {pods}"),
        ]);
    }
    if lines.is_empty() {
        let text = "  From outside: not at all (type ClusterIP). Use NodePort or LoadBalancer.";
        lines.extend([String::new(), text.to_owned()]);
    }
    lines
}

fn from_inside(facts: &Facts, port: &ServicePort) -> Vec<String> {
    let addresses = facts.spec().cluster_ips.unwrap_or_default();
    let pods = pods(facts, port);
    if addresses.first().is_none_or(|address| address == "None") {
        let text = format!("  From inside: no address of its own (headless); clients dial {pods}");
        return vec![String::new(), text];
    }
    let mut lines = vec![
        String::new(),
        "  From pods and nodes of the cluster".to_owned(),
    ];
    let way = |address: &String| format!("    pod -> {} -> {pods}", joined(address, port.port));
    lines.extend(addresses.iter().map(way));
    lines
        .push("    (a host outside cannot reach a cluster address: no router knows it)".to_owned());
    lines
}

fn pods(facts: &Facts, port: &ServicePort) -> String {
    let endpoints = facts
        .endpoints(port)
        .into_iter()
        .filter(|endpoint| endpoint.ready);
    let ready: Vec<String> = endpoints.map(|e| joined(&e.address, e.port)).collect();
    if ready.is_empty() {
        "no pod: connections are refused".to_owned()
    } else {
        ready.join(" or ")
    }
}

/// `address:port`, brackets around IPv6.
fn joined(address: &str, port: i32) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}
