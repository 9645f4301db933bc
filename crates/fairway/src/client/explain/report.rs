//! The report: each port's paths, what the numbers in PORT(S) mean, and who may dial from where.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::ServicePort;

use super::facts::{Endpoint, Facts, target};
use super::findings::Finding;

/// The whole text.
pub(super) fn of(facts: &Facts, findings: &[Finding]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Service {}/{}, type {}", facts.namespace(), facts.name(), facts.kind());
    let spec = facts.spec();
    if facts.kind() == "ExternalName" {
        let name = spec.external_name.unwrap_or_default();
        let _ = writeln!(out, "\nA name only: cluster DNS answers with {name}. No packet is forwarded.");
        return out;
    }
    for port in spec.ports.iter().flatten() {
        out.push_str(&port_report(facts, port));
    }
    out.push_str(&verdict(findings));
    out
}

fn verdict(findings: &[Finding]) -> String {
    let mut out = String::new();
    for (title, stops) in [("Where it stops", true), ("Good to know", false)] {
        let texts = findings.iter().filter(|f| f.stops == stops).map(|f| f.text.as_str());
        let texts: Vec<&str> = texts.collect();
        if !texts.is_empty() {
            let _ = writeln!(out, "\n{title}");
            texts.iter().for_each(|text| drop(writeln!(out, "  - {text}")));
        }
    }
    if !findings.iter().any(|f| f.stops) {
        out.push_str("\nNothing stops a packet.\n");
    }
    out
}

fn port_report(facts: &Facts, port: &ServicePort) -> String {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let node_port = port.node_port.filter(|n| *n > 0);
    let shown = match node_port {
        Some(node_port) => format!("{}:{node_port}/{protocol}", port.port),
        None => format!("{}/{protocol}", port.port),
    };
    let mut out = format!("\nPORT(S) {shown}\n");
    let _ = writeln!(out, "  {:<6} the port of the Service's own addresses", port.port);
    if let Some(node_port) = node_port {
        let _ = writeln!(out, "  {node_port:<6} the same port, open on every node");
    }
    let _ = writeln!(out, "  {:<6} the port that the pods listen on (targetPort)", target(port));
    out.push_str(&from_outside(facts, port, node_port));
    out.push_str(&from_inside(facts, port));
    let endpoints = facts.endpoints(port);
    let usable = endpoints.iter().filter(|e| e.ready).count();
    let _ = writeln!(out, "\n  Endpoints: {usable} ready of {}", endpoints.len());
    endpoints.iter().for_each(|endpoint| drop(writeln!(out, "    {}", endpoint_line(endpoint))));
    out
}

fn endpoint_line(endpoint: &Endpoint) -> String {
    let state = match (endpoint.ready, endpoint.terminating) {
        (true, _) => "ready",
        (false, true) => "terminating",
        (false, false) => "not ready",
    };
    let place = if endpoint.node.is_empty() { String::new() } else { format!(" on {}", endpoint.node) };
    let pod = if endpoint.pod.is_empty() { String::new() } else { format!("  pod {}{place}", endpoint.pod) };
    format!("{}{pod}, {state}", joined(&endpoint.address, endpoint.port))
}

fn from_outside(facts: &Facts, port: &ServicePort, node_port: Option<i32>) -> String {
    let spec = facts.spec();
    let mut out = String::new();
    let nodes: Vec<String> = facts.node_addresses().into_iter().map(|(_, address)| address).collect();
    let on_nodes = |number: i32| nodes.iter().map(|n| joined(n, number)).collect::<Vec<_>>().join(", ");
    let pods = pods(facts, port);
    for address in facts.ingress() {
        let _ = writeln!(out, "\n  From outside, by the load balancer");
        let _ = writeln!(out, "    client -> {}   the load balancer's address", joined(&address, port.port));
        match node_port {
            Some(number) => drop(writeln!(out, "           -> {}   any node", on_nodes(number))),
            None => drop(writeln!(out, "           -> any node, the destination kept (no node port)")),
        }
        let _ = writeln!(out, "           -> {pods}");
    }
    for address in spec.external_ips.iter().flatten() {
        let _ = writeln!(out, "\n  From outside, by an external address that is routed to a node");
        let _ = writeln!(out, "    client -> {} -> {pods}", joined(address, port.port));
    }
    if let Some(number) = node_port {
        let _ = writeln!(out, "\n  From outside, by any node");
        let _ = writeln!(out, "    client -> {}", on_nodes(number));
        let _ = writeln!(out, "           -> {pods}");
    }
    if facts.kind() == "ClusterIP" && spec.external_ips.iter().flatten().next().is_none() {
        out.push_str("\n  From outside: not at all (type ClusterIP). Use NodePort or LoadBalancer.\n");
    }
    out
}

fn from_inside(facts: &Facts, port: &ServicePort) -> String {
    let addresses = facts.spec().cluster_ips.unwrap_or_default();
    if addresses.first().is_none_or(|address| address == "None") {
        let pods = pods(facts, port);
        return format!("\n  From inside: no address of its own (headless); clients dial pods: {pods}\n");
    }
    let mut out = String::from("\n  From pods and nodes of the cluster\n");
    for address in addresses {
        let _ = writeln!(out, "    pod -> {} -> {}", joined(&address, port.port), pods(facts, port));
    }
    out.push_str("    (a host outside cannot reach a cluster address; no router knows it)\n");
    out
}

fn pods(facts: &Facts, port: &ServicePort) -> String {
    let ready: Vec<String> = facts
        .endpoints(port)
        .iter()
        .filter(|e| e.ready)
        .map(|e| joined(&e.address, e.port))
        .collect();
    if ready.is_empty() { "no pod: connections are refused".to_owned() } else { ready.join(" or ") }
}

/// `address:port`, brackets around IPv6.
fn joined(address: &str, port: i32) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
