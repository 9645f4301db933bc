//! What an EndpointSlice may say (`apis/discovery/validation`).

use serde_json::Value;

use crate::field::{Kind, Path, Problem, Problems};
use crate::service::protocol_problems;
use crate::validation::json::{list, text, texts};
use crate::validation::{ip, labels, metadata, names};

const MAX_PORTS: usize = 20_000;
const MAX_ENDPOINTS: usize = 1_000;
const MAX_ADDRESSES: usize = 100;
const MAX_TOPOLOGY: usize = 16;
const MAX_HINTS: usize = 8;

/// Problems of a new slice.
pub(super) fn create(object: &Value) -> Problems {
    validate(object, None)
}

/// Problems of a changed slice.
pub(super) fn update(new: &Value, old: &Value) -> Problems {
    let mut problems = validate(new, Some(old));
    let at = Path::new("addressType");
    let kind = |object: &Value| Value::from(text(object, "/addressType"));
    problems.extend(metadata::immutable(&kind(new), &kind(old), &at));
    problems
}

fn validate(object: &Value, old: Option<&Value>) -> Problems {
    let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
    problems.extend(address_type(text(object, "/addressType")));
    problems.extend(ports(list(object, "/ports"), &Path::new("ports")));
    // What older rules let pass may stay.
    if old.is_none_or(|old| old["endpoints"] != object["endpoints"]) {
        problems.extend(endpoints(object, &Path::new("endpoints")));
    }
    problems
}

fn address_type(value: &str) -> Option<Problem> {
    let known = ["FQDN", "IPv4", "IPv6"];
    let at = Path::new("addressType");
    match value {
        "" => Some(Problem::required(at, "")),
        _ if known.contains(&value) => None,
        _ => Some(Problem::not_supported(at, value, &known)),
    }
}

fn too_many(at: &Path, count: usize, limit: usize) -> Option<Problem> {
    (count > limit).then(|| Problem {
        kind: Kind::TooMany,
        field: at.clone(),
        value: count.to_string(),
        detail: format!("must have at most {limit} items"),
    })
}

fn ports(ports: &[Value], path: &Path) -> Problems {
    if let Some(problem) = too_many(path, ports.len(), MAX_PORTS) {
        return vec![problem];
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Problems::new();
    for (i, port) in ports.iter().enumerate() {
        let at = path.index(i);
        let name = text(port, "/name");
        if !name.is_empty() {
            let found = names::dns_label(name);
            problems.extend(labels::invalid(&at.child("name"), name, found));
        }
        if seen.contains(&name) {
            problems.push(Problem::duplicate(at.child("name"), name));
        }
        seen.push(name);
        problems.extend(protocol(port, &at.child("protocol")));
        if let Some(value) = port["appProtocol"].as_str() {
            let found = names::qualified_name(value);
            problems.extend(labels::invalid(&at.child("appProtocol"), value, found));
        }
    }
    problems
}

fn protocol(port: &Value, at: &Path) -> Problems {
    match port["protocol"].as_str() {
        // An empty protocol is there, unlike one that is left out.
        Some("") => vec![Problem::not_supported(
            at.clone(),
            "",
            &["SCTP", "TCP", "UDP"],
        )],
        _ => protocol_problems(port, at),
    }
}

fn endpoints(object: &Value, path: &Path) -> Problems {
    let endpoints = list(object, "/endpoints");
    if let Some(problem) = too_many(path, endpoints.len(), MAX_ENDPOINTS) {
        return vec![problem];
    }
    let kind = text(object, "/addressType");
    let each = endpoints.iter().enumerate();
    each.flat_map(|(i, endpoint)| one(endpoint, kind, &path.index(i)))
        .collect()
}

fn one(endpoint: &Value, kind: &str, path: &Path) -> Problems {
    let mut problems = addresses(
        &texts(endpoint, "/addresses"),
        kind,
        &path.child("addresses"),
    );
    if let Some(node) = endpoint["nodeName"].as_str() {
        let found = names::dns_subdomain(node);
        problems.extend(labels::invalid(&path.child("nodeName"), node, found));
    }
    let at = path.child("deprecatedTopology");
    let topology = &endpoint["deprecatedTopology"];
    let count = topology.as_object().map_or(0, serde_json::Map::len);
    problems.extend(too_many(&at, count, MAX_TOPOLOGY));
    problems.extend(labels::labels(topology, &at));
    if let Some(hostname) = endpoint["hostname"].as_str() {
        let found = names::dns_label(hostname);
        problems.extend(labels::invalid(&path.child("hostname"), hostname, found));
    }
    problems.extend(hints(&endpoint["hints"], &path.child("hints")));
    problems
}

fn addresses(addresses: &[&str], kind: &str, path: &Path) -> Problems {
    let mut problems = Problems::new();
    if addresses.is_empty() {
        let words = "must contain at least 1 address";
        problems.push(Problem::required(path.clone(), words));
    }
    problems.extend(too_many(path, addresses.len(), MAX_ADDRESSES));
    for (i, address) in addresses.iter().enumerate() {
        let at = path.index(i);
        problems.extend(match kind {
            "IPv4" => v4(address, path, &at),
            "IPv6" => v6(address, path, &at),
            "FQDN" => domain_name(address, &at),
            _ => Problems::new(),
        });
    }
    problems
}

/// As upstream, a wrong family is reported at the list.
fn v4(address: &str, list: &Path, at: &Path) -> Problems {
    let mut problems = ip::legacy_ip(at, address, &[]);
    if problems.is_empty() {
        if ip::is_v6(address) {
            let words = "must be an IPv4 address";
            problems.push(Problem::invalid(list.clone(), address, words));
        }
        problems.extend(ip::endpoint_ip(at, address));
    }
    problems
}

fn v6(address: &str, list: &Path, at: &Path) -> Problems {
    let mut problems = ip::ip(at, address);
    if problems.is_empty() {
        if !ip::is_v6(address) {
            let words = "must be an IPv6 address";
            problems.push(Problem::invalid(list.clone(), address, words));
        }
        problems.extend(ip::endpoint_ip(at, address));
    }
    problems
}

fn domain_name(name: &str, at: &Path) -> Problems {
    if name.is_empty() {
        return vec![Problem::required(at.clone(), "")];
    }
    let invalid = |value: &str, text: String| vec![Problem::invalid(at.clone(), value, text)];
    let name = name.strip_suffix('.').unwrap_or(name);
    let found = names::dns_subdomain(name);
    if !found.is_empty() {
        return invalid(name, found.join(","));
    }
    if !name.contains('.') {
        let words = "should be a domain with at least two segments separated by dots";
        return invalid(name, words.to_owned());
    }
    let mut labels = name
        .split('.')
        .map(|label| (label, names::dns_label(label)));
    let bad = labels.find(|(_, found)| !found.is_empty());
    bad.map_or_else(Problems::new, |(label, found)| {
        invalid(label, found.join(","))
    })
}

fn hints(hints: &Value, path: &Path) -> Problems {
    let (zones, nodes) = (list(hints, "/forZones"), list(hints, "/forNodes"));
    let at = path.child("forZones");
    if let Some(problem) = too_many(&at, zones.len(), MAX_HINTS) {
        return vec![problem];
    }
    let mut problems = hint_names(zones, &at, names::label_value);
    let at = path.child("forNodes");
    match too_many(&at, nodes.len(), MAX_HINTS) {
        Some(problem) => problems.push(problem),
        None => problems.extend(hint_names(nodes, &at, names::dns_subdomain)),
    }
    problems
}

fn hint_names(hints: &[Value], path: &Path, rule: fn(&str) -> Vec<String>) -> Problems {
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Problems::new();
    for (i, hint) in hints.iter().enumerate() {
        let (at, name) = (path.index(i).child("name"), text(hint, "/name"));
        if seen.contains(&name) {
            problems.push(Problem::duplicate(at.clone(), name));
        }
        seen.push(name);
        problems.extend(labels::invalid(&at, name, rule(name)));
    }
    problems
}
