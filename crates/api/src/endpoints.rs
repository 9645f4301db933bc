//! Endpoints: the addresses behind a Service in the old form, deprecated since 1.33.

use jiff::Timestamp;
use serde_json::Value;

use crate::age;
use crate::field::{Path, Problem, Problems};
use crate::printer::{NAME, column};
use crate::resource::{Column, Part, Rules, Strategy};
use crate::service::protocol_problems;
use crate::validation::json::{integer, list, text};
use crate::validation::{ip, labels, metadata, names};

/// The strategy of `v1/Endpoints`.
pub struct Endpoints;

const COLUMNS: &[Column] = &[NAME, column("Endpoints", "string"), column("Age", "string")];

impl Strategy for Endpoints {
    fn rules(&self) -> Rules {
        Rules {
            create_on_update: true,
            deprecation: Some(
                "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
            ),
            ..Rules::default()
        }
    }

    fn set_defaults(&self, object: &mut Value) {
        for subset in members(object, "subsets") {
            for port in members(subset, "ports") {
                if text(port, "/protocol").is_empty() {
                    port["protocol"] = "TCP".into();
                }
            }
        }
    }

    fn validate_create(&self, object: &Value) -> Problems {
        validate(object, None)
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(validate(new, Some(old)));
        problems
    }

    fn warnings(&self, _part: Part, new: &Value, _old: Option<&Value>) -> Vec<String> {
        warnings(new)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            text(object, "/metadata/name").into(),
            cell(object).into(),
            age::of(object, now),
        ]
    }
}

fn members<'a>(object: &'a mut Value, member: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = object.get_mut(member).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

const ADDRESS_LISTS: [&str; 2] = ["addresses", "notReadyAddresses"];

fn validate(object: &Value, old: Option<&Value>) -> Problems {
    let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
    // What older rules let pass may stay.
    if old.is_none_or(|old| old["subsets"] != object["subsets"]) {
        for (i, subset) in list(object, "/subsets").iter().enumerate() {
            problems.extend(subset_problems(subset, &Path::new("subsets").index(i)));
        }
    }
    problems
}

fn subset_problems(subset: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let lists = ADDRESS_LISTS.map(|member| (member, list(subset, &format!("/{member}"))));
    if lists.iter().all(|(_, addresses)| addresses.is_empty()) {
        let words = "must specify `addresses` or `notReadyAddresses`";
        problems.push(Problem::required(path.clone(), words));
    }
    for (member, addresses) in lists {
        for (i, address) in addresses.iter().enumerate() {
            problems.extend(address_problems(address, &path.child(member).index(i)));
        }
    }
    let ports = list(subset, "/ports");
    for (i, port) in ports.iter().enumerate() {
        let at = path.child("ports").index(i);
        problems.extend(port_problems(port, ports.len() > 1, &at));
    }
    problems
}

fn address_problems(address: &Value, path: &Path) -> Problems {
    let (at, value) = (path.child("ip"), text(address, "/ip"));
    let mut problems = ip::legacy_ip(&at, value, &[]);
    let hostname = text(address, "/hostname");
    if !hostname.is_empty() {
        let found = names::dns_label(hostname);
        problems.extend(labels::invalid(&path.child("hostname"), hostname, found));
    }
    if let Some(node) = address["nodeName"].as_str() {
        let found = names::dns_subdomain(node);
        problems.extend(labels::invalid(&path.child("nodeName"), node, found));
    }
    problems.extend(ip::endpoint_ip(&at, value));
    problems
}

fn port_problems(port: &Value, named: bool, path: &Path) -> Problems {
    let mut problems = Problems::new();
    match text(port, "/name") {
        "" if named => problems.push(Problem::required(path.child("name"), "")),
        "" => {}
        name => {
            let found = names::dns_label(name);
            problems.extend(labels::invalid(&path.child("name"), name, found));
        }
    }
    let number = integer(port, "/port");
    for complaint in names::port_number(number) {
        problems.push(Problem::invalid(path.child("port"), number, complaint));
    }
    problems.extend(protocol_problems(port, &path.child("protocol")));
    if let Some(value) = port["appProtocol"].as_str() {
        let found = names::qualified_name(value);
        problems.extend(labels::invalid(&path.child("appProtocol"), value, found));
    }
    problems
}

/// The controller's own objects are not looked at: it writes canonical addresses.
fn warnings(object: &Value) -> Vec<String> {
    let labels = &object["metadata"]["labels"];
    if labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (i, subset) in list(object, "/subsets").iter().enumerate() {
        for member in ADDRESS_LISTS {
            let path = Path::new("subsets").index(i).child(member);
            for (j, address) in list(subset, &format!("/{member}")).iter().enumerate() {
                let at = path.index(j).child("ip");
                warnings.extend(ip::warnings_for_ip(&at, text(address, "/ip")));
            }
        }
    }
    warnings
}

/// At most three of the ready addresses, ports outside, addresses inside.
fn cell(object: &Value) -> String {
    let subsets = list(object, "/subsets");
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let all: Vec<String> = subsets.iter().flat_map(dialled).collect();
    let shown = all[..all.len().min(3)].join(",");
    match all.len() {
        0..=3 => shown,
        count => format!("{shown} + {} more...", count - 3),
    }
}

fn dialled(subset: &Value) -> Vec<String> {
    let addresses: Vec<&str> = list(subset, "/addresses")
        .iter()
        .map(|a| text(a, "/ip"))
        .collect();
    let ports = list(subset, "/ports");
    if ports.is_empty() {
        return addresses.into_iter().map(str::to_owned).collect();
    }
    let mut shown = Vec::new();
    for port in ports {
        let number = integer(port, "/port");
        shown.extend(addresses.iter().map(|address| match address.contains(':') {
            true => format!("[{address}]:{number}"),
            false => format!("{address}:{number}"),
        }));
    }
    shown
}

#[cfg(test)]
mod tests;
