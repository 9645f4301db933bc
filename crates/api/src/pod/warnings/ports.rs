//! Ports that two containers of a pod declare.

use serde_json::Value;

use super::super::validation::all_containers;
use crate::field::Path;
use crate::validation::json::{integer, list, text};

struct Port<'a> {
    at: Path,
    name: &'a str,
    number: i64,
    host: i64,
    host_ip: &'a str,
    protocol: &'a str,
}

pub(super) fn warnings(spec: &Value, path: &Path) -> Vec<String> {
    let mut all: Vec<Port<'_>> = Vec::new();
    for (container, at) in all_containers(spec, path) {
        for (i, port) in list(container, "/ports").iter().enumerate() {
            all.push(Port {
                at: at.child("ports").index(i),
                name: text(port, "/name"),
                number: integer(port, "/containerPort"),
                host: integer(port, "/hostPort"),
                host_ip: text(port, "/hostIP"),
                protocol: text(port, "/protocol"),
            });
        }
    }
    let mut warnings = Vec::new();
    for (i, port) in all.iter().enumerate() {
        if !port.host_ip.is_empty() && port.host == 0 {
            warnings.push(format!(
                "{}: hostIP set without hostPort: {}",
                port.at,
                as_go(port)
            ));
        }
        let same =
            |other: &&Port<'_>| other.number == port.number && other.protocol == port.protocol;
        let others = all[..i].iter().filter(same);
        warnings.extend(others.filter_map(|other| {
            let what = relation(port, other)?;
            Some(format!(
                "{}: {what} port definition with {}",
                port.at, other.at
            ))
        }));
    }
    warnings.extend(names(&all));
    warnings
}

fn relation(port: &Port<'_>, other: &Port<'_>) -> Option<&'static str> {
    if port.host_ip == other.host_ip && port.host == other.host {
        Some("duplicate")
    } else if port.host == 0 || other.host == 0 {
        Some("overlapping")
    } else if port.host == other.host && port.host_ip.is_empty() != other.host_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

fn names(all: &[Port<'_>]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (i, port) in all
        .iter()
        .enumerate()
        .filter(|(_, port)| !port.name.is_empty())
    {
        if let Some(other) = all[..i].iter().find(|other| other.name == port.name) {
            let (at, name, first) = (&port.at, port.name, &other.at);
            warnings.push(format!(
                "{at}: duplicate port name \"{name}\" with {first}, services and probes that select ports by name \
                 will use {first}"
            ));
        }
    }
    warnings
}

/// The Go structure, as `%+v` prints it.
fn as_go(port: &Port<'_>) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.name, port.host, port.number, port.protocol, port.host_ip
    )
}
