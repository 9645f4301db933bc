//! What a pod may say, in the order in which Kubernetes complains (`ValidatePodCreate` and its kin).
//!
//! A pod's spec has the same rules in a template ([`template`]), but for what depends on the pod's name or
//! on what is filled in when a pod is made.

mod annotations;
mod containers;
mod env;
mod mounts;
mod network;
mod ports;
mod probes;
mod references;
mod resize;
mod resources;
mod scheduling;
mod security;
mod status;
mod update;
mod volumes;
mod windows;

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::schema::internal;
use crate::validation::json::{boolean, list, present, text};
use crate::validation::{check, labels, metadata, names};

pub(super) use resize::problems as resize;
pub(crate) use scheduling::taint_effect;
pub(super) use status::problems as status_update;
pub(super) use update::{ephemeral_containers, problems as update};

/// Problems of a new pod.
pub(super) fn create(pod: &Value) -> Problems {
    let mut problems = metadata::new_object(pod, true, names::dns_subdomain_name);
    problems.extend(any(pod));
    let (spec, path) = (&pod["spec"], Path::new("spec"));
    if present(spec, "/ephemeralContainers") {
        let at = path.child("ephemeralContainers");
        problems.push(Problem::forbidden(at, "cannot be set on create"));
    }
    if !text(spec, "/nodeName").is_empty() && !list(spec, "/schedulingGates").is_empty() {
        let words = "cannot be set until all schedulingGates have been cleared";
        problems.push(Problem::forbidden(path.child("nodeName"), words));
    }
    problems.extend(annotations::profiles_agree(&pod["metadata"], spec, &path));
    problems
}

/// The rules that hold for a pod whenever it is written, but those of its metadata.
fn any(pod: &Value) -> Problems {
    let (meta, spec, path) = (&pod["metadata"], &pod["spec"], Path::new("spec"));
    let mut problems = annotations::annotations(meta, spec, &Path::new("metadata.annotations"));
    problems.extend(self::spec(spec, Some(meta), &path, true));
    problems.extend(tokens_of_nobody(spec, &path));
    for member in ["containers", "initContainers"] {
        for (i, container) in list(spec, &format!("/{member}")).iter().enumerate() {
            problems.extend(containers::tidy_image(
                container,
                &path.child(member).index(i),
            ));
        }
    }
    problems
}

/// Without an account there is no token to project.
fn tokens_of_nobody(spec: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    if !text(spec, "/serviceAccountName").is_empty() {
        return problems;
    }
    for (i, volume) in list(spec, "/volumes").iter().enumerate() {
        for (j, source) in list(volume, "/projected/sources").iter().enumerate() {
            if present(source, "/serviceAccountToken") {
                let at = path.child("volumes").index(i).child("projected");
                let at = at.child("sources").index(j).child("serviceAccountToken");
                let words = "must not be specified when serviceAccountName is not set";
                problems.push(Problem::forbidden(at, words));
            }
        }
    }
    problems
}

/// Problems of a pod template.
pub(crate) fn template(template: &Value, path: &Path) -> Problems {
    let (meta, spec) = (&template["metadata"], &template["spec"]);
    let at = path.child("annotations");
    let mut problems = labels::labels(&meta["labels"], &path.child("labels"));
    problems.extend(labels::annotations(&meta["annotations"], &at));
    problems.extend(annotations::annotations(meta, spec, &at));
    let at = path.child("spec");
    problems.extend(self::spec(spec, None, &at, false));
    problems.extend(annotations::profiles_agree(meta, spec, &at));
    if present(spec, "/ephemeralContainers") {
        let words = "ephemeral containers not allowed in pod template";
        problems.push(Problem::forbidden(at.child("ephemeralContainers"), words));
    }
    problems
}

fn spec(spec: &Value, meta: Option<&Value>, path: &Path, is_pod: bool) -> Problems {
    let mut problems = Problems::new();
    let grace = spec["terminationGracePeriodSeconds"].as_i64();
    if grace.is_none() {
        problems.push(Problem::required(
            path.child("terminationGracePeriodSeconds"),
            "",
        ));
    }
    let (volumes, found) = volumes::volumes(spec, meta, is_pod, &path.child("volumes"));
    problems.extend(found);
    let claims = list(spec, "/resourceClaims")
        .iter()
        .map(|claim| text(claim, "/name"));
    let around = containers::Around {
        volumes,
        claims: claims.filter(|name| !name.is_empty()).collect(),
        restart_policy: text(spec, "/restartPolicy"),
        host_users: boolean(spec, "/hostUsers") != Some(false),
        grace,
    };
    problems.extend(resources::claims(spec, meta, &path.child("resourceClaims")));
    problems.extend(containers::regular(
        spec,
        &around,
        &path.child("containers"),
    ));
    problems.extend(containers::init(
        spec,
        &around,
        &path.child("initContainers"),
    ));
    problems.extend(containers::ephemeral(
        spec,
        &around,
        &path.child("ephemeralContainers"),
    ));
    problems.extend(resources::of_pod(spec, &around.claims, path));
    problems.extend(ports::on_host_network(spec, path, is_pod));
    problems.extend(policies(spec, path));
    problems.extend(labels::labels(
        &spec["nodeSelector"],
        &path.child("nodeSelector"),
    ));
    problems.extend(security::of_pod(spec, &path.child("securityContext")));
    problems.extend(scheduling::affinity(spec, &path.child("affinity")));
    problems.extend(network::dns_config(spec, &path.child("dnsConfig")));
    problems.extend(scheduling::readiness_gates(
        spec,
        &path.child("readinessGates"),
    ));
    problems.extend(scheduling::gates(spec, &path.child("schedulingGates")));
    problems.extend(scheduling::spread(
        spec,
        &path.child("topologySpreadConstraints"),
    ));
    problems.extend(windows::host_processes(spec, path));
    problems.extend(network::host_users(spec, path));
    problems.extend(network::host_name_override(spec, path));
    problems.extend(names_and_numbers(spec, path));
    problems.extend(windows::operating_system(spec, path));
    problems.extend(env::file_volumes(spec, path));
    problems
}

fn policies(spec: &Value, path: &Path) -> Problems {
    let restart = text(spec, "/restartPolicy");
    let known = ["Always", "OnFailure", "Never"];
    let mut problems = check::one_of(restart, path.child("restartPolicy"), &known);
    let dns = text(spec, "/dnsPolicy");
    let known = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    problems.extend(check::one_of(dns, path.child("dnsPolicy"), &known));
    problems
}

type TextRule = fn(&str, &Path) -> Problems;

fn names_and_numbers(spec: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    let named = |members: &[(&str, TextRule)]| {
        let mut found = Problems::new();
        for (member, rule) in members {
            let name = text(spec, &format!("/{member}"));
            if !name.is_empty() {
                found.extend(rule(name, &path.child(member)));
            }
        }
        found
    };
    problems.extend(named(&[
        ("serviceAccountName", check::dns_subdomain),
        ("nodeName", check::dns_subdomain),
    ]));
    let max = i64::from(i32::MAX);
    problems.extend(check::within_if_set(
        spec,
        "activeDeadlineSeconds",
        path,
        1,
        max,
    ));
    problems.extend(named(&[
        ("hostname", check::dns_label),
        ("subdomain", check::dns_label),
    ]));
    let tolerations = list(spec, "/tolerations");
    problems.extend(scheduling::tolerations(
        tolerations,
        &path.child("tolerations"),
    ));
    problems.extend(network::host_aliases(spec, &path.child("hostAliases")));
    problems.extend(named(&[("priorityClassName", check::dns_subdomain)]));
    if let Some(name) = spec["runtimeClassName"].as_str() {
        problems.extend(check::dns_subdomain(name, &path.child("runtimeClassName")));
    }
    if let Some(policy) = spec["preemptionPolicy"].as_str() {
        let at = path.child("preemptionPolicy");
        problems.extend(check::one_of(
            policy,
            at,
            &["PreemptLowerPriority", "Never"],
        ));
    }
    if present(spec, "/overhead") {
        problems.extend(resources::overhead(spec, &path.child("overhead")));
    }
    problems
}

/// Every container with its path, in the order in which upstream visits them.
pub(super) fn all_containers<'a>(spec: &'a Value, path: &Path) -> Vec<(&'a Value, Path)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let of = |member: &str| {
        let at = path.child(member);
        let each = list(spec, &format!("/{member}")).iter().enumerate();
        each.map(move |(i, container)| (container, at.index(i)))
            .collect::<Vec<_>>()
    };
    lists.into_iter().flat_map(of).collect()
}

/// A part of a pod as a message shows it.
fn shown(ty: &str, value: &Value) -> String {
    internal::line(ty, value)
}

#[cfg(test)]
mod tests;
