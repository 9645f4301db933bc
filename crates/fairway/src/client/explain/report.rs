//! The report: each port's paths, what the numbers in PORT(S) mean, and who may dial from where.

use k8s_openapi::api::core::v1::ServicePort;

use super::facts::{Endpoint, Facts, is_ipv6, target};
use super::findings::Finding;

/// The verdict where no finding stops a packet.
const NOTHING: &str = "Nothing stops a packet.";

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
        lines.extend(
            verdict(findings)
                .into_iter()
                .take_while(|line| line != NOTHING),
        );
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
        lines.extend([String::new(), NOTHING.to_owned()]);
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
    let mut lines = vec![String::new(), format!("PORT(S) {shown}")];
    lines.push(match is_headless(facts) {
        true => format!(
            "  {:<6} of no meaning: without an address of its own no port is translated",
            port.port
        ),
        false => format!("  {:<6} the port of the Service's own addresses", port.port),
    });
    lines.extend(node_port.map(|n| format!("  {n:<6} the same port, open on every node")));
    let listener = match facts
        .spec()
        .selector
        .is_none_or(|selector| selector.is_empty())
    {
        true => "endpoints",
        false => "pods",
    };
    lines.push(format!(
        "  {:<6} the port that the {listener} listen on (targetPort)",
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
    let mut lines = Vec::new();
    for address in facts.ingress() {
        lines.extend(by_load_balancer(facts, port, node_port, &address));
    }
    for address in facts.spec().external_ips.iter().flatten() {
        let pods = pods(facts, port, is_ipv6(address));
        lines.extend([
            String::new(),
            "  From outside, by an external address that is routed to a node".to_owned(),
            format!("    client -> {} -> {pods}", joined(address, port.port)),
        ]);
    }
    lines.extend(
        node_port
            .into_iter()
            .flat_map(|number| by_nodes(facts, port, number)),
    );
    if lines.is_empty() {
        let kind = facts.kind();
        let text = match kind.as_str() {
            "ClusterIP" => "not at all (type ClusterIP). Use NodePort or LoadBalancer.".to_owned(),
            _ => format!("not yet (type {kind} without an address and without a node port)."),
        };
        lines.extend([String::new(), format!("  From outside: {text}")]);
    }
    lines
}

fn by_load_balancer(
    facts: &Facts,
    port: &ServicePort,
    node_port: Option<i32>,
    address: &str,
) -> Vec<String> {
    let ipv6 = is_ipv6(address);
    let mut nodes = facts.node_addresses(ipv6);
    let local = is_local_outside(facts);
    if local {
        nodes.retain(|(name, _)| facts.is_local(port, name));
    }
    let way = match node_port.filter(|_| !facts.handed_over(port)) {
        Some(number) => {
            let dialled = nodes.iter().map(|(_, address)| joined(address, number));
            format!(
                "{}   any node, by its node port",
                dialled.collect::<Vec<_>>().join(", ")
            )
        }
        None => {
            let names = nodes
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            match local {
                true => format!(
                    "{names}   a node with a pod of its own, the packet as it is: the pod sees the client's address"
                ),
                false => format!("{names}   any node, the packet as it is"),
            }
        }
    };
    vec![
        String::new(),
        "  From outside, by the load balancer".to_owned(),
        format!(
            "    client -> {}   the load balancer's address",
            joined(address, port.port)
        ),
        format!("           -> {way}"),
        format!("           -> {}", pods(facts, port, ipv6)),
    ]
}

/// By the node ports: of any node alike, or, where only local pods serve, node by node.
fn by_nodes(facts: &Facts, port: &ServicePort, number: i32) -> Vec<String> {
    let mut lines = vec![String::new(), "  From outside, by any node".to_owned()];
    for ipv6 in facts.families() {
        let nodes = facts.node_addresses(ipv6);
        if is_local_outside(facts) {
            lines.extend(nodes.iter().map(|(name, address)| {
                let local = facts.usable(port).into_iter();
                let local = local.filter(|e| e.node == *name && is_ipv6(&e.address) == ipv6);
                let pods = match listed(local) {
                    Some(pods) => format!("{pods}, the client's address kept"),
                    None => "no pod here: no answer (externalTrafficPolicy is Local)".to_owned(),
                };
                format!("    client -> {} -> {pods}", joined(address, number))
            }));
        } else if !nodes.is_empty() {
            let dialled = nodes.iter().map(|(_, address)| joined(address, number));
            lines.extend([
                format!("    client -> {}", dialled.collect::<Vec<_>>().join(", ")),
                format!("           -> {}", pods(facts, port, ipv6)),
            ]);
        }
    }
    lines
}

fn from_inside(facts: &Facts, port: &ServicePort) -> Vec<String> {
    if is_headless(facts) {
        let all = facts.usable(port).into_iter();
        let all = listed(all).unwrap_or_else(|| "nobody: there is no endpoint".to_owned());
        let text = format!(
            "  From inside: DNS answers with the endpoints' own addresses (headless); clients dial {all}"
        );
        return vec![String::new(), text];
    }
    let addresses = facts.spec().cluster_ips.unwrap_or_default();
    let mut lines = vec![
        String::new(),
        "  From pods and nodes of the cluster".to_owned(),
    ];
    let nearby = match facts.spec().internal_traffic_policy.as_deref() {
        Some("Local") => ", but only those of its own node (internalTrafficPolicy is Local)",
        _ => "",
    };
    let way = |address: &String| {
        let pods = pods(facts, port, is_ipv6(address));
        format!(
            "    pod -> {} -> {pods}{nearby}",
            joined(address, port.port)
        )
    };
    lines.extend(addresses.iter().map(way));
    lines
        .push("    (a host outside cannot reach a cluster address: no router knows it)".to_owned());
    lines
}

fn is_headless(facts: &Facts) -> bool {
    let addresses = facts.spec().cluster_ips.unwrap_or_default();
    addresses.first().is_none_or(|address| address == "None")
}

fn is_local_outside(facts: &Facts) -> bool {
    facts.spec().external_traffic_policy.as_deref() == Some("Local")
}

fn pods(facts: &Facts, port: &ServicePort, ipv6: bool) -> String {
    let endpoints = facts.usable(port).into_iter();
    let endpoints = endpoints.filter(|endpoint| is_ipv6(&endpoint.address) == ipv6);
    listed(endpoints).unwrap_or_else(|| "no pod: connections are refused".to_owned())
}

fn listed(endpoints: impl Iterator<Item = Endpoint>) -> Option<String> {
    let all: Vec<String> = endpoints.map(|e| joined(&e.address, e.port)).collect();
    (!all.is_empty()).then(|| all.join(" or "))
}

/// `address:port`, brackets around IPv6.
pub(super) fn joined(address: &str, port: i32) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}
