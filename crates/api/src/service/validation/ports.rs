//! `spec.ports`: each port for itself, then all of them against each other.

use serde_json::Value;

use super::super::spec::Spec;
use crate::field::{Path, Problem, Problems};
use crate::validation::{json, labels, names};

/// Name, number, protocol, target and application protocol of each port.
pub(super) fn each(spec: Spec<'_>, path: &Path) -> Problems {
    let ports = spec.ports();
    let mut names: Vec<&str> = Vec::new();
    let mut problems = Problems::new();
    for (i, port) in ports.iter().enumerate() {
        let at = path.index(i);
        let name = json::text(port, "/name");
        problems.extend(port_name(name, ports.len() > 1, &names, &at.child("name")));
        names.push(name);
        let number = json::integer(port, "/port");
        problems.extend(number_problems(number, &at.child("port")));
        problems.extend(protocol(port, &at.child("protocol")));
        problems.extend(target(&port["targetPort"], &at.child("targetPort")));
        if let Some(value) = port["appProtocol"].as_str() {
            let found = names::qualified_name(value);
            problems.extend(labels::invalid(&at.child("appProtocol"), value, found));
        }
    }
    problems
}

fn port_name(name: &str, required: bool, before: &[&str], at: &Path) -> Problems {
    if name.is_empty() {
        let problem = Problem::required(at.clone(), "");
        return required.then_some(problem).into_iter().collect();
    }
    let mut problems = labels::invalid(at, name, names::dns_label(name));
    if before.contains(&name) {
        problems.push(Problem::duplicate(at.clone(), name));
    }
    problems
}

fn number_problems(number: i64, at: &Path) -> Problems {
    let problem = |text| Problem::invalid(at.clone(), number, text);
    names::port_number(number)
        .into_iter()
        .map(problem)
        .collect()
}

/// A protocol that ports may have.
pub(crate) fn protocol(port: &Value, at: &Path) -> Problems {
    let known = ["SCTP", "TCP", "UDP"];
    match json::text(port, "/protocol") {
        "" => vec![Problem::required(at.clone(), "")],
        value if known.contains(&value) => Problems::new(),
        value => vec![Problem::not_supported(at.clone(), value, &known)],
    }
}

fn target(target: &Value, at: &Path) -> Problems {
    match target {
        Value::String(name) => labels::invalid(at, name, names::port_name(name)),
        number => number_problems(number.as_i64().unwrap_or(0), at),
    }
}

/// Node ports where there may be none, and what occurs twice.
pub(super) fn among_each_other(spec: Spec<'_>, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let node_ports: Vec<(&str, i64)> = spec.ports().iter().map(|p| key(p, "/nodePort")).collect();
    let ports: Vec<(&str, i64)> = spec.ports().iter().map(|p| key(p, "/port")).collect();
    for (i, (_, number)) in node_ports.iter().enumerate() {
        if spec.kind() == "ClusterIP" && *number != 0 {
            let at = path.index(i).child("nodePort");
            let words = "may not be used when `type` is 'ClusterIP'";
            problems.push(Problem::forbidden(at, words));
        }
    }
    for (i, this) in node_ports.iter().enumerate() {
        if this.1 != 0 && node_ports[..i].contains(this) {
            let at = path.index(i).child("nodePort");
            problems.push(Problem::duplicate(at, this.1));
        }
    }
    for (i, this) in ports.iter().enumerate() {
        if ports[..i].contains(this) {
            problems.push(Problem::duplicate_as(path.index(i), go_key(*this)));
        }
    }
    problems
}

fn key<'a>(port: &'a Value, number: &str) -> (&'a str, i64) {
    (json::text(port, "/protocol"), json::integer(port, number))
}

/// The Go structure that upstream compares by, with its own field names.
fn go_key((protocol, port): (&str, i64)) -> String {
    format!(
        "{{\"Name\":\"\",\"Protocol\":\"{protocol}\",\"AppProtocol\":null,\"Port\":{port},\
         \"TargetPort\":0,\"NodePort\":0}}"
    )
}
