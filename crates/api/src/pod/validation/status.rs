//! What a write of a pod's status may say (`ValidatePodStatusUpdate`).

use serde_json::Value;

use super::annotations;
use crate::field::{Path, Problem, Problems};
use crate::validation::json::{integer, list, present, text};
use crate::validation::{check, ip, metadata};

const MAX_ID: i64 = i32::MAX as i64;
const NOT_NEGATIVE: &str = "must be a non-negative integer";

/// Problems of a changed status.
pub(crate) fn problems(new: &Value, old: &Value) -> Problems {
    let path = Path::new("status");
    let mut problems = metadata::update(new, old);
    problems.extend(annotations::update(
        new,
        old,
        &Path::new("metadata.annotations"),
    ));
    problems.extend(conditions(new, &path.child("conditions")));
    problems.extend(nominated(new, old, &path.child("nominatedNodeName")));
    let generation = integer(new, "/status/observedGeneration");
    if generation < 0 {
        let at = path.child("observedGeneration");
        problems.push(Problem::invalid(at, generation, NOT_NEGATIVE));
    }
    let class = |pod: &Value| Value::from(text(pod, "/status/qosClass"));
    problems.extend(metadata::immutable(
        &class(new),
        &class(old),
        &path.child("qosClass"),
    ));
    for (member, containers) in STATUSES {
        let may_restart = |name: &str, code| restarts(&old["spec"], containers, name, code);
        let (now, before) = (
            list(new, &format!("/status/{member}")),
            list(old, &format!("/status/{member}")),
        );
        problems.extend(transitions(now, before, may_restart, &path.child(member)));
    }
    problems.extend(claims(new, &path.child("resourceClaimStatuses")));
    problems.extend(addresses(new, old, "podIPs", &path));
    problems.extend(host_addresses(new, old, &path));
    for (member, _) in STATUSES {
        let at = path.child(member);
        for (i, status) in list(new, &format!("/status/{member}")).iter().enumerate() {
            problems.extend(user(status, new, &at.index(i)));
        }
    }
    for (member, containers) in STATUSES {
        let at = path.child(member);
        for (i, status) in list(new, &format!("/status/{member}")).iter().enumerate() {
            problems.extend(allocated(status, new, containers, &at.index(i)));
        }
    }
    problems
}

/// The lists of statuses and those of the containers.
const STATUSES: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];

fn conditions(pod: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (i, condition) in list(pod, "/status/conditions").iter().enumerate() {
        let at = path.index(i);
        let generation = integer(condition, "/observedGeneration");
        if generation < 0 {
            problems.push(Problem::invalid(
                at.child("observedGeneration"),
                generation,
                NOT_NEGATIVE,
            ));
        }
        let kind = text(condition, "/type");
        if !["PodScheduled", "Ready", "Initialized"].contains(&kind) {
            problems.extend(check::qualified_name(kind, &at.child("Type")));
        }
    }
    problems
}

fn nominated(new: &Value, old: &Value, at: &Path) -> Problems {
    let name = text(new, "/status/nominatedNodeName");
    if name.is_empty() || name == text(old, "/status/nominatedNodeName") {
        return Problems::new();
    }
    let mut problems = check::dns_subdomain(name, at);
    if !text(old, "/spec/nodeName").is_empty() {
        let words = "may not be set on pods that are already bound to a node";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    problems
}

/// Whether a container may run again after it has ended with this code.
fn restarts(spec: &Value, containers: &str, name: &str, code: i64) -> bool {
    if containers == "ephemeralContainers" {
        return false;
    }
    if all_could_restart(spec) {
        return true;
    }
    let all = list(spec, &format!("/{containers}"));
    let Some(container) = all.iter().find(|container| container["name"] == name) else {
        return false;
    };
    for rule in list(container, "/restartPolicyRules") {
        let listed = list(rule, "/exitCodes/values")
            .iter()
            .any(|value| value.as_i64() == Some(code));
        let meets = match text(rule, "/exitCodes/operator") {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        if meets && rule["action"] == "Restart" {
            return true;
        }
    }
    let policy = container["restartPolicy"].as_str();
    match policy.unwrap_or_else(|| text(spec, "/restartPolicy")) {
        "Always" => true,
        "OnFailure" => code != 0,
        _ => false,
    }
}

fn all_could_restart(spec: &Value) -> bool {
    let containers = ["/containers", "/initContainers"]
        .into_iter()
        .flat_map(|at| list(spec, at));
    let mut rules = containers.flat_map(|container| list(container, "/restartPolicyRules"));
    rules.any(|rule| rule["action"] == "RestartAllContainers")
}

/// What has ended for good stays so. Upstream counts by the old list.
fn transitions(
    new: &[Value],
    old: &[Value],
    may_restart: impl Fn(&str, i64) -> bool,
    path: &Path,
) -> Problems {
    let mut problems = Problems::new();
    for (i, before) in old.iter().enumerate() {
        if !present(before, "/state/terminated") {
            continue;
        }
        let name = text(before, "/name");
        let runs_now =
            |status: &&Value| status["name"] == name && !present(status, "/state/terminated");
        let code = integer(before, "/state/terminated/exitCode");
        if new.iter().any(|status| runs_now(&status)) && !may_restart(name, code) {
            let words = "may not be transitioned to non-terminated state";
            problems.push(Problem::forbidden(path.index(i).child("state"), words));
        }
    }
    problems
}

fn claims(pod: &Value, path: &Path) -> Problems {
    let all = list(pod, "/status/resourceClaimStatuses");
    let known = list(pod, "/spec/resourceClaims");
    let mut problems = Problems::new();
    for (i, status) in all.iter().enumerate() {
        let (at, name) = (path.index(i), text(status, "/name"));
        if !known.iter().any(|claim| claim["name"] == name) {
            let words = "must match the name of an entry in `spec.resourceClaims`";
            problems.push(Problem::invalid(at.child("name"), name, words));
        }
        if all[..i].iter().any(|other| other["name"] == name) {
            problems.push(Problem::duplicate(at.child("name"), name));
        }
        if let Some(claim) = status["resourceClaimName"].as_str() {
            problems.extend(check::dns_subdomain(claim, &at.child("resourceClaimName")));
        }
    }
    problems
}

/// At most one address of each family; what is new is well written.
fn addresses(new: &Value, old: &Value, member: &str, path: &Path) -> Problems {
    let (now, before) = (ips(new, member), ips(old, member));
    let at = path.child(member);
    let mut problems = Problems::new();
    for (i, address) in now.iter().enumerate() {
        problems.extend(ip::legacy_ip(&at.index(i), address, &before));
    }
    if now.len() < 2 {
        return problems;
    }
    if let Some(bad) = now
        .iter()
        .find(|address| ip::parse_sloppy(address).is_none())
    {
        let words = format!("failed to check for dual stack with error:invalid IP: {bad}");
        problems.push(Problem {
            kind: crate::field::Kind::Internal,
            field: at.clone(),
            value: String::new(),
            detail: words,
        });
    }
    let both = now.iter().any(|one| ip::is_v6(one)) && now.iter().any(|one| !ip::is_v6(one));
    let all_sound = now.iter().all(|one| ip::parse_sloppy(one).is_some());
    if !(both && all_sound) || now.len() > 2 {
        let words = "may specify no more than one IP for each IP family";
        let each: Vec<String> = now
            .iter()
            .map(|one| format!("{{\"IP\":{}}}", Value::from(*one)))
            .collect();
        problems.push(Problem::invalid_as(
            at,
            format!("[{}]", each.join(",")),
            words,
        ));
    }
    problems
}

fn ips<'a>(pod: &'a Value, member: &str) -> Vec<&'a str> {
    let all = list(pod, &format!("/status/{member}")).iter();
    all.map(|one| text(one, "/ip")).collect()
}

fn host_addresses(new: &Value, old: &Value, path: &Path) -> Problems {
    let Some(first) = list(new, "/status/hostIPs").first() else {
        return Problems::new();
    };
    let first = text(first, "/ip");
    let mut problems = Problems::new();
    if text(new, "/status/hostIP") != first {
        let at = path.child("hostIPs").index(0).child("ip");
        problems.push(Problem::invalid(at, first, "must be equal to `hostIP`"));
    }
    problems.extend(addresses(new, old, "hostIPs", path));
    problems
}

fn user(status: &Value, pod: &Value, path: &Path) -> Problems {
    let at = path.child("user").child("linux");
    let linux = &status["user"]["linux"];
    if linux.is_null() {
        return Problems::new();
    }
    if pod["spec"]["os"]["name"] == "windows" {
        return vec![Problem::forbidden(at, "cannot be set for a windows pod")];
    }
    let mut problems = Problems::new();
    for member in ["uid", "gid"] {
        let id = integer(linux, &format!("/{member}"));
        problems.extend(check::within(id, &at.child(member), 0, MAX_ID));
    }
    for (i, group) in list(linux, "/supplementalGroups").iter().enumerate() {
        let at = at.child("supplementalGroups").index(i);
        problems.extend(check::within(group.as_i64().unwrap_or(0), &at, 0, MAX_ID));
    }
    problems
}

/// The health of devices that the container was given.
fn allocated(status: &Value, pod: &Value, containers: &str, path: &Path) -> Problems {
    let all = list(status, "/allocatedResourcesStatus");
    let at = path.child("allocatedResourcesStatus");
    if containers == "ephemeralContainers" {
        let words = "must not be specified in container status";
        let problem = Problem::forbidden(at, words);
        return (!all.is_empty()).then_some(problem).into_iter().collect();
    }
    let known = list(pod, &format!("/spec/{containers}")).iter();
    let container = known.into_iter().find(|one| one["name"] == status["name"]);
    let mut problems = Problems::new();
    for (i, allocated) in all.iter().enumerate() {
        let at = at.index(i);
        problems.extend(container.and_then(|container| requested(allocated, container, &at)));
        problems.extend(devices(allocated, &at.child("resources")));
    }
    problems
}

fn requested(allocated: &Value, container: &Value, path: &Path) -> Option<Problem> {
    let name = text(allocated, "/name");
    let (found, words) = match name.strip_prefix("claim:") {
        Some(wanted) => {
            let key = |claim: &Value| match text(claim, "/request") {
                "" => text(claim, "/name").to_owned(),
                request => format!("{}/{request}", text(claim, "/name")),
            };
            let claims = list(container, "/resources/claims");
            let words = "must match one of the container's resource claims in a format \
                         'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
            (claims.iter().any(|claim| key(claim) == wanted), words)
        }
        None => (
            !container["resources"]["requests"][name].is_null(),
            "must match one of the container's resource requests",
        ),
    };
    (!found).then(|| Problem::invalid(path.child("name"), name, words))
}

fn devices(allocated: &Value, path: &Path) -> Problems {
    let all = list(allocated, "/resources");
    let mut problems = Problems::new();
    for (i, device) in all.iter().enumerate() {
        let at = path.index(i);
        let known = ["Healthy", "Unhealthy", "Unknown"];
        let health = text(device, "/health");
        problems.extend(check::known(health, at.child("health"), &known));
        let id = text(device, "/resourceID");
        if all[..i]
            .iter()
            .any(|other| text(other, "/resourceID") == id)
        {
            problems.push(Problem::duplicate(at.child("resourceID"), id));
        }
    }
    problems
}
