//! Container ports, and the ports of the host that they take.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::service::protocol_problems;
use crate::validation::json::{boolean, integer, list, text};
use crate::validation::{check, labels, names};

/// Each port of a container.
pub(super) fn ports(container: &Value, path: &Path) -> Problems {
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Problems::new();
    for (i, port) in list(container, "/ports").iter().enumerate() {
        let at = path.index(i);
        problems.extend(name(text(port, "/name"), &mut seen, &at.child("name")));
        match integer(port, "/containerPort") {
            0 => problems.push(Problem::required(at.child("containerPort"), "")),
            number => problems.extend(check::within(number, &at.child("containerPort"), 1, 65_535)),
        }
        let host = integer(port, "/hostPort");
        if host != 0 {
            problems.extend(check::within(host, &at.child("hostPort"), 1, 65_535));
        }
        problems.extend(protocol_problems(port, &at.child("protocol")));
    }
    problems
}

fn name<'a>(name: &'a str, seen: &mut Vec<&'a str>, at: &Path) -> Problems {
    if name.is_empty() {
        return Problems::new();
    }
    let problems = labels::invalid(at, name, names::port_name(name));
    if !problems.is_empty() {
        return problems;
    }
    if seen.contains(&name) {
        return vec![Problem::duplicate(at.clone(), name)];
    }
    seen.push(name);
    problems
}

/// Host ports that two of these containers want.
pub(super) fn host_port_conflicts(containers: &[Value], path: &Path) -> Problems {
    let mut taken: Vec<String> = Vec::new();
    let mut problems = Problems::new();
    for (i, container) in containers.iter().enumerate() {
        for (j, port) in list(container, "/ports").iter().enumerate() {
            let number = integer(port, "/hostPort");
            if number == 0 {
                continue;
            }
            let wanted = format!(
                "{}/{}/{number}",
                text(port, "/protocol"),
                text(port, "/hostIP")
            );
            if taken.contains(&wanted) {
                let at = path.index(i).child("ports").index(j).child("hostPort");
                problems.push(Problem::duplicate(at, wanted));
            } else {
                taken.push(wanted);
            }
        }
    }
    problems
}

/// On the host's network a container's ports are the host's. A template may leave that open.
pub(super) fn on_host_network(spec: &Value, path: &Path, is_pod: bool) -> Problems {
    if boolean(spec, "/hostNetwork") != Some(true) {
        return Problems::new();
    }
    let mut problems = Problems::new();
    for (i, container) in list(spec, "/containers").iter().enumerate() {
        for (j, port) in list(container, "/ports").iter().enumerate() {
            let host = integer(port, "/hostPort");
            if (is_pod || host != 0) && host != integer(port, "/containerPort") {
                let at = path.child("containers").index(i).child("ports").index(j);
                let words = "must match `containerPort` when `hostNetwork` is true";
                problems.push(Problem::invalid(at.child("hostPort"), host, words));
            }
        }
    }
    problems
}
