//! A pod's names and how it finds others': host names, DNS, host aliases.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::validation::json::{boolean, list, present, text, texts};
use crate::validation::{check, ip, labels, names};

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_LENGTH: usize = 2_048;
const MAX_HOST_NAME: usize = 64;

/// `dnsConfig`.
pub(super) fn dns_config(spec: &Value, path: &Path) -> Problems {
    let config = &spec["dnsConfig"];
    let servers = texts(config, "/nameservers");
    if spec["dnsPolicy"] == "None" {
        if config.is_null() {
            let words = "must provide `dnsConfig` when `dnsPolicy` is None";
            return vec![Problem::required(path.clone(), words)];
        }
        if servers.is_empty() {
            let words = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return vec![Problem::required(path.child("nameservers"), words)];
        }
    }
    let at = path.child("nameservers");
    let mut problems = Problems::new();
    if servers.len() > MAX_SERVERS {
        let words = format!("must not have more than {MAX_SERVERS} nameservers");
        problems.push(Problem::invalid(at.clone(), servers.clone(), words));
    }
    for (i, server) in servers.into_iter().enumerate() {
        problems.extend(ip::legacy_ip(&at.index(i), server, &[]));
    }
    problems.extend(searches(
        &texts(config, "/searches"),
        &path.child("searches"),
    ));
    for (i, option) in list(config, "/options").iter().enumerate() {
        if text(option, "/name").is_empty() {
            let at = path.child("options").index(i);
            problems.push(Problem::required(at, "must not be empty"));
        }
    }
    problems
}

fn searches(searches: &[&str], at: &Path) -> Problems {
    let mut problems = Problems::new();
    if searches.len() > MAX_SEARCHES {
        let words = format!("must not have more than {MAX_SEARCHES} search paths");
        problems.push(Problem::invalid(at.clone(), searches, words));
    }
    if searches.join(" ").len() > MAX_SEARCH_LENGTH {
        let words = format!(
            "must not have more than {MAX_SEARCH_LENGTH} characters (including spaces) in the search list"
        );
        problems.push(Problem::invalid(at.clone(), searches, words));
    }
    for (i, search) in searches
        .iter()
        .enumerate()
        .filter(|(_, search)| **search != ".")
    {
        let name = search.strip_suffix('.').unwrap_or(search);
        problems.extend(labels::invalid(&at.index(i), name, names::dns_search(name)));
    }
    problems
}

/// `hostAliases`.
pub(super) fn host_aliases(spec: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (i, alias) in list(spec, "/hostAliases").iter().enumerate() {
        let at = path.index(i);
        problems.extend(ip::legacy_ip(&at.child("ip"), text(alias, "/ip"), &[]));
        for (j, name) in texts(alias, "/hostnames").into_iter().enumerate() {
            problems.extend(check::dns_subdomain(name, &at.child("hostnames").index(j)));
        }
    }
    problems
}

/// `hostnameOverride`.
pub(super) fn host_name_override(spec: &Value, path: &Path) -> Problems {
    let Some(name) = spec["hostnameOverride"].as_str() else {
        return Problems::new();
    };
    let at = path.child("hostnameOverride");
    let mut problems = Problems::new();
    if boolean(spec, "/setHostnameAsFQDN") == Some(true) {
        let words = "may not be specified when setHostnameAsFQDN is true";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    if boolean(spec, "/hostNetwork") == Some(true) {
        let words = "may not be specified when hostNetwork is true";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    if name.len() > MAX_HOST_NAME {
        problems.push(Problem::too_long(at.clone(), MAX_HOST_NAME));
    }
    problems.extend(check::dns_subdomain(name, &at));
    problems
}

/// Own users exclude the host's namespaces. (The capitals are upstream's.)
pub(super) fn host_users(spec: &Value, path: &Path) -> Problems {
    if boolean(spec, "/hostUsers") != Some(false) {
        return Problems::new();
    }
    let words = "when `hostUsers` is false";
    let flags = [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ];
    let set = flags
        .into_iter()
        .filter(|(flag, _)| boolean(spec, &format!("/{flag}")) == Some(true));
    let mut problems: Problems = set
        .map(|(_, shown)| Problem::forbidden(path.child(shown), words))
        .collect();
    for (container, at) in super::all_containers(spec, path) {
        if present(container, "/volumeDevices") {
            problems.push(Problem::forbidden(at.child("volumeDevices"), words));
        }
    }
    problems
}
