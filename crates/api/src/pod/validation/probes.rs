//! Probes and lifecycle hooks, and the handlers that both have.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::validation::json::{integer, list, present, text};
use crate::validation::{check, labels, names};

const TOO_MANY: &str = "may not specify more than 1 handler type";

/// The three probes of a container that keeps running.
pub(super) fn probes(container: &Value, grace: Option<i64>, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for member in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if !present(container, &format!("/{member}")) {
            continue;
        }
        let (probe, at) = (&container[member], path.child(member));
        problems.extend(self::probe(probe, grace, &at));
        problems.extend(match member {
            "readinessProbe" => no_grace_period(probe, &at),
            _ => one_success(probe, &at),
        });
    }
    problems
}

fn probe(probe: &Value, grace: Option<i64>, path: &Path) -> Problems {
    let mut problems = handler(
        probe,
        &["exec", "httpGet", "tcpSocket", "grpc"],
        grace,
        path,
    );
    for member in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        problems.extend(check::not_negative(probe, member, path));
    }
    let at = path.child("terminationGracePeriodSeconds");
    if let Some(seconds @ ..=0) = probe["terminationGracePeriodSeconds"].as_i64() {
        problems.push(Problem::invalid(at, seconds, "must be greater than 0"));
    }
    problems
}

fn one_success(probe: &Value, path: &Path) -> Problems {
    match integer(probe, "/successThreshold") {
        1 => Problems::new(),
        count => vec![Problem::invalid(
            path.child("successThreshold"),
            count,
            "must be 1",
        )],
    }
}

fn no_grace_period(probe: &Value, path: &Path) -> Problems {
    let Some(seconds) = probe["terminationGracePeriodSeconds"].as_i64() else {
        return Problems::new();
    };
    let at = path.child("terminationGracePeriodSeconds");
    vec![Problem::invalid(
        at,
        seconds,
        "must not be set for readinessProbes",
    )]
}

/// `lifecycle`.
pub(super) fn lifecycle(container: &Value, grace: Option<i64>, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for member in ["postStart", "preStop"] {
        if let Some(found) = container
            .pointer(&format!("/lifecycle/{member}"))
            .filter(|v| !v.is_null())
        {
            let kinds = ["exec", "httpGet", "tcpSocket", "sleep"];
            let at = path.child("lifecycle").child(member);
            problems.extend(handler(found, &kinds, grace, &at));
        }
    }
    problems
}

/// Exactly one of the kinds of handlers.
fn handler(owner: &Value, kinds: &[&str], grace: Option<i64>, path: &Path) -> Problems {
    let mut found = false;
    let mut problems = Problems::new();
    for kind in kinds.iter().filter(|kind| !owner[**kind].is_null()) {
        let (action, at) = (&owner[*kind], path.child(kind));
        if found {
            problems.push(Problem::forbidden(at, TOO_MANY));
            continue;
        }
        found = true;
        problems.extend(match *kind {
            "exec" if list(action, "/command").is_empty() => {
                vec![Problem::required(at.child("command"), "")]
            }
            "httpGet" => http_get(action, &at),
            "tcpSocket" => check::port(&action["port"], &at.child("port")),
            "grpc" => check::within(integer(action, "/port"), &at.child("port"), 1, 65_535),
            "sleep" => sleep(integer(action, "/seconds"), grace, at),
            _ => Problems::new(),
        });
    }
    if !found {
        problems.push(Problem::required(
            path.clone(),
            "must specify a handler type",
        ));
    }
    problems
}

fn http_get(action: &Value, path: &Path) -> Problems {
    let mut problems = check::needed(action, "path", path);
    problems.extend(check::port(&action["port"], &path.child("port")));
    let scheme = text(action, "/scheme");
    problems.extend(check::known(
        scheme,
        path.child("scheme"),
        &["HTTP", "HTTPS"],
    ));
    for header in list(action, "/httpHeaders") {
        let name = text(header, "/name");
        let at = path.child("httpHeaders");
        problems.extend(labels::invalid(&at, name, names::http_header_name(name)));
    }
    problems
}

fn sleep(seconds: i64, grace: Option<i64>, at: Path) -> Problems {
    match grace {
        Some(grace) if !(0..=grace).contains(&seconds) => {
            let words = format!(
                "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            );
            vec![Problem::invalid(at, seconds, words)]
        }
        _ => Problems::new(),
    }
}
