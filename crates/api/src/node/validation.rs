//! What a Node may say (`ValidateNode`, `ValidateNodeUpdate`).

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::pod::validation::taint_effect;
use crate::schema::internal;
use crate::validation::json::{list, pairs, text, texts};
use crate::validation::{check, ip, labels, metadata, names, resource};

const CIDR_KEPT: &str = "node updates may not change podCIDR except from \"\" to valid";
const PROVIDER_KEPT: &str = "node updates may not change providerID except from \"\" to valid";

/// Problems of a new node.
pub(super) fn create(node: &Value) -> Problems {
    let mut problems = metadata::new_object(node, false, names::dns_subdomain_name);
    problems.extend(taints(node));
    problems.extend(resources(node));
    problems.extend(swap(node));
    problems.extend(features(node));
    problems.extend(pod_cidrs(node));
    problems
}

/// Problems of a changed node; a whole update has those of a new one before.
pub(super) fn update(new: &Value, old: &Value) -> Problems {
    let mut problems = metadata::update(new, old);
    problems.extend(resources(new));
    problems.extend(features(new));
    problems.extend(addresses(new));
    problems.extend(kept_cidrs(new, old));
    let provider = |node: &'_ Value| text(node, "/spec/providerID").to_owned();
    if !provider(old).is_empty() && provider(old) != provider(new) {
        problems.push(Problem::forbidden(
            Path::new("spec.providerID"),
            PROVIDER_KEPT,
        ));
    }
    problems.extend(taints(new));
    if text(new, "/spec/externalID") != text(old, "/spec/externalID") {
        let at = Path::new("spec.externalID");
        problems.push(Problem::forbidden(at, "may not be updated"));
    }
    problems
}

/// Upstream reports taints below the metadata.
fn taints(node: &Value) -> Problems {
    let (all, path) = (list(node, "/spec/taints"), Path::new("metadata.taints"));
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut problems = Problems::new();
    for (i, taint) in all.iter().enumerate() {
        let at = path.index(i);
        let (key, value, effect) = (
            text(taint, "/key"),
            text(taint, "/value"),
            text(taint, "/effect"),
        );
        problems.extend(labels::label_name(key, &at.child("key")));
        let wrong = names::label_value(value);
        if !wrong.is_empty() {
            problems.push(Problem::invalid(at.child("value"), value, wrong.join(";")));
        }
        problems.extend(taint_effect(effect, at.child("effect")));
        if seen.contains(&(key, effect)) {
            let shown = internal::line("Taint", taint);
            problems.push(Problem {
                detail: "taints must be unique by key and effect pair".to_owned(),
                ..Problem::duplicate_as(at, shown)
            });
        }
        seen.push((key, effect));
    }
    problems
}

fn resources(node: &Value) -> Problems {
    let mut problems = Problems::new();
    for member in ["capacity", "allocatable"] {
        for (name, amount) in pairs(node, &format!("/status/{member}")) {
            let at = Path::new("status").child(member).child(name);
            problems.extend(resource::amount(name, amount, &at));
        }
    }
    problems
}

fn swap(node: &Value) -> Problems {
    let capacity = node["status"]["nodeInfo"]["swap"]["capacity"].as_i64();
    let at = Path::new("metadata.nodeSwapStatus.capacity");
    capacity
        .map(|capacity| check::positive(capacity, &at))
        .unwrap_or_default()
}

/// Names in CamelCase with slashes, in order and once each.
fn features(node: &Value) -> Problems {
    let (all, path) = (
        texts(node, "/status/declaredFeatures"),
        Path::new("status.declaredFeatures"),
    );
    let mut problems = Problems::new();
    for (i, feature) in all.iter().enumerate() {
        let quoted = crate::field::shown(&(*feature).into());
        let wrong = if feature.len() > 253 {
            Some("must be no more than 253 characters")
        } else if !is_feature(feature) {
            Some(
                "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., \
                 MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
            )
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let words = format!("invalid feature name {quoted}: {wrong}");
            problems.push(Problem::invalid(path.index(i), *feature, words));
        }
        match all.get(i + 1) {
            Some(next) if next == feature => {
                problems.push(Problem::duplicate(path.index(i + 1), *next));
            }
            Some(next) if next < feature => {
                let words = "list must be sorted alphabetically";
                problems.push(Problem::invalid(path.index(i + 1), *next, words));
            }
            _ => {}
        }
    }
    problems
}

fn is_feature(name: &str) -> bool {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('/').all(word)
}

fn pod_cidrs(node: &Value) -> Problems {
    let (all, path) = (texts(node, "/spec/podCIDRs"), Path::new("spec.podCIDRs"));
    let mut problems = Problems::new();
    for (i, cidr) in all.iter().enumerate() {
        problems.extend(ip::legacy_cidr(&path.index(i), cidr, &[]));
    }
    if all.len() < 2 {
        return problems;
    }
    let parsed: Vec<_> = all.iter().map(|cidr| ip::parse_cidr_sloppy(cidr)).collect();
    if let Some(at) = parsed.iter().position(Option::is_none) {
        let words = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{at}]: <nil> (invalid CIDR \
             address: {})",
            all[at]
        );
        problems.push(Problem {
            kind: crate::field::Kind::Internal,
            field: path.clone(),
            value: String::new(),
            detail: words,
        });
    }
    let is_v6 =
        |found: &Option<(std::net::IpAddr, _)>| found.as_ref().is_some_and(|(ip, _)| ip.is_ipv6());
    let sound = parsed.iter().all(Option::is_some);
    let both = sound && parsed.iter().any(is_v6) && !parsed.iter().all(is_v6);
    if !both || all.len() > 2 {
        let words = "may specify no more than one CIDR for each IP family";
        problems.push(Problem::invalid(path, all, words));
    }
    problems
}

fn kept_cidrs(new: &Value, old: &Value) -> Problems {
    let (now, before) = (texts(new, "/spec/podCIDRs"), texts(old, "/spec/podCIDRs"));
    let changed = if before.is_empty() {
        0
    } else if before.len() == now.len() {
        before
            .iter()
            .zip(&now)
            .filter(|(before, now)| before != now)
            .count()
    } else {
        1
    };
    let problem = Problem::forbidden(Path::new("spec.podCIDRs"), CIDR_KEPT);
    vec![problem; changed]
}

fn addresses(node: &Value) -> Problems {
    let all = list(node, "/status/addresses");
    let again = all
        .iter()
        .enumerate()
        .filter(|(i, address)| all[..*i].contains(address));
    again
        .map(|(i, address)| {
            let at = Path::new("status.addresses").index(i);
            Problem::duplicate_as(at, internal::line("NodeAddress", address))
        })
        .collect()
}

/// What clients are warned about: fields without effect, odd CIDRs.
pub(super) fn warnings(node: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if !node["spec"]["configSource"].is_null() {
        warnings.push("spec.configSource: the feature is removed".to_owned());
    }
    if !text(node, "/spec/externalID").is_empty() {
        warnings.push(
            "spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned(),
        );
    }
    for (i, cidr) in texts(node, "/spec/podCIDRs").into_iter().enumerate() {
        let at = Path::new("spec.podCIDRs").index(i);
        warnings.extend(ip::warnings_for_cidr(&at, cidr));
    }
    warnings
}
