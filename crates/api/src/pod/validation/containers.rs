//! The three kinds of containers.

use serde_json::Value;

use super::mounts::{self, Volumes};
use super::{env, ports, probes, resources, security};
use crate::field::{Kind, Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{list, present, text};

/// What a container's rules need to know of its pod.
pub(super) struct Around<'a> {
    pub(super) volumes: Volumes<'a>,
    pub(super) claims: Vec<&'a str>,
    pub(super) restart_policy: &'a str,
    pub(super) host_users: bool,
    pub(super) grace: Option<i64>,
}

/// `containers`.
pub(super) fn regular(spec: &Value, around: &Around<'_>, path: &Path) -> Problems {
    let all = list(spec, "/containers");
    if all.is_empty() {
        return vec![Problem::required(path.clone(), "")];
    }
    let mut problems = Problems::new();
    for (i, container) in all.iter().enumerate() {
        let at = path.index(i);
        problems.extend(common(container, around, &at));
        problems.extend(taken(container, all[..i].iter(), &at));
        problems.extend(probes::lifecycle(container, around.grace, &at));
        problems.extend(probes::probes(container, around.grace, &at));
        problems.extend(restart(container, &at));
    }
    problems.extend(ports::host_port_conflicts(all, path));
    problems
}

/// `initContainers`.
pub(super) fn init(spec: &Value, around: &Around<'_>, path: &Path) -> Problems {
    let (all, regular) = (list(spec, "/initContainers"), list(spec, "/containers"));
    let mut problems = Problems::new();
    for (i, container) in all.iter().enumerate() {
        let at = path.index(i);
        let stays = container["restartPolicy"] == "Always";
        problems.extend(common(container, around, &at));
        let rules = restart(container, &at);
        let unset = container["restartPolicy"].is_null();
        problems.extend(rules.into_iter().take(if unset { 1 } else { usize::MAX }));
        let named = all[..i]
            .iter()
            .filter(|other| !text(other, "/name").is_empty());
        problems.extend(taken(container, regular.iter().chain(named), &at));
        // One after the other, each may have the same ports. Upstream counts every one as the first.
        problems.extend(ports::host_port_conflicts(
            std::slice::from_ref(container),
            path,
        ));
        if stays {
            problems.extend(probes::lifecycle(container, around.grace, &at));
            problems.extend(probes::probes(container, around.grace, &at));
        } else {
            problems.extend(not_of_init(container, &at));
        }
    }
    problems
}

fn not_of_init(container: &Value, path: &Path) -> Problems {
    let members = [
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ];
    let set = members
        .into_iter()
        .filter(|member| !container[*member].is_null());
    let words = "may not be set for init containers without restartPolicy=Always";
    let mut problems: Problems = set
        .map(|member| Problem::forbidden(path.child(member), words))
        .collect();
    for (i, policy) in list(container, "/resizePolicy").iter().enumerate() {
        if policy["restartPolicy"] == "RestartContainer" {
            let at = path.child("resizePolicy").index(i).child("restartPolicy");
            let words = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            problems.push(Problem::invalid(at, "RestartContainer", words));
        }
    }
    problems
}

/// `ephemeralContainers`.
pub(super) fn ephemeral(spec: &Value, around: &Around<'_>, path: &Path) -> Problems {
    let all = list(spec, "/ephemeralContainers");
    let others = || {
        list(spec, "/containers")
            .iter()
            .chain(list(spec, "/initContainers"))
    };
    let mut problems = Problems::new();
    for (i, container) in all.iter().enumerate() {
        let at = path.index(i);
        problems.extend(common(container, around, &at));
        problems.extend(tidy_image(container, &at));
        problems.extend(taken(container, others().chain(&all[..i]), &at));
        let target = text(container, "/targetContainerName");
        if !target.is_empty() && !others().any(|other| other["name"] == target) {
            problems.push(Problem::not_found(at.child("targetContainerName"), target));
        }
        problems.extend(not_of_ephemeral(container, &at));
    }
    problems
}

fn not_of_ephemeral(container: &Value, path: &Path) -> Problems {
    const MEMBERS: [&str; 9] = [
        "ports",
        "resources",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ];
    let words = "cannot be set for an Ephemeral Container";
    let set = |member: &&str| match &container[*member] {
        Value::Null => false,
        Value::Object(members) => *member != "resources" || !members.is_empty(),
        _ => true,
    };
    let mut problems: Problems = MEMBERS
        .into_iter()
        .filter(set)
        .map(|member| Problem::forbidden(path.child(member), words))
        .collect();
    for (i, mount) in list(container, "/volumeMounts").iter().enumerate() {
        for member in ["subPath", "subPathExpr"] {
            if !text(mount, &format!("/{member}")).is_empty() {
                let at = path.child("volumeMounts").index(i).child(member);
                problems.push(Problem::forbidden(at, words));
            }
        }
    }
    problems
}

/// A name is taken once in a pod.
fn taken<'a>(
    container: &Value,
    mut others: impl Iterator<Item = &'a Value>,
    path: &Path,
) -> Option<Problem> {
    let name = text(container, "/name");
    let taken = others.any(|other| text(other, "/name") == name);
    taken.then(|| Problem::duplicate(path.child("name"), name))
}

/// What holds for every container.
fn common(container: &Value, around: &Around<'_>, path: &Path) -> Problems {
    let mut problems = check::needed(container, "name", path);
    if problems.is_empty() {
        problems = check::dns_label(text(container, "/name"), &path.child("name"));
    }
    problems.extend(check::needed(container, "image", path));
    let policy = text(container, "/terminationMessagePolicy");
    let at = path.child("terminationMessagePolicy");
    problems.extend(check::one_of(
        policy,
        at,
        &["File", "FallbackToLogsOnError"],
    ));
    problems.extend(ports::ports(container, &path.child("ports")));
    problems.extend(env::variables(container, &path.child("env")));
    problems.extend(env::sources(container, &path.child("envFrom")));
    problems.extend(mounts::mounts(
        container,
        &around.volumes,
        &path.child("volumeMounts"),
    ));
    problems.extend(mounts::devices(
        container,
        &around.volumes,
        &path.child("volumeDevices"),
    ));
    problems.extend(pull_policy(container, "imagePullPolicy", path));
    problems.extend(resources::of_container(
        container,
        &around.claims,
        &path.child("resources"),
    ));
    problems.extend(resize(
        container,
        around.restart_policy,
        &path.child("resizePolicy"),
    ));
    let at = path.child("securityContext");
    problems.extend(security::of_container(container, around.host_users, &at));
    problems
}

/// When an image is fetched.
pub(super) fn pull_policy(owner: &Value, member: &str, path: &Path) -> Problems {
    let policy = text(owner, &format!("/{member}"));
    check::one_of(
        policy,
        path.child(member),
        &["Always", "IfNotPresent", "Never"],
    )
}

/// Blanks around an image's name are refused in pods; templates have always had them.
pub(super) fn tidy_image(container: &Value, path: &Path) -> Option<Problem> {
    let image = text(container, "/image");
    let words = "must not have leading or trailing whitespace";
    (image.trim() != image).then(|| Problem::invalid(path.child("image"), image, words))
}

/// `resizePolicy`; upstream reports at the list what is wrong with a member.
fn resize(container: &Value, restart_policy: &str, path: &Path) -> Problems {
    let all = list(container, "/resizePolicy");
    let mut problems = Problems::new();
    for (i, policy) in all.iter().enumerate() {
        let (name, restart) = (
            text(policy, "/resourceName"),
            text(policy, "/restartPolicy"),
        );
        if all[..i]
            .iter()
            .any(|other| text(other, "/resourceName") == name)
        {
            problems.push(Problem::duplicate(path.index(i), name));
        }
        problems.extend(check::one_of(name, path.clone(), &["cpu", "memory"]));
        let known = ["NotRequired", "RestartContainer"];
        problems.extend(check::one_of(restart, path.clone(), &known));
        if restart_policy == "Never" && restart != "NotRequired" {
            let words = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            problems.push(Problem::invalid(path.clone(), restart, words));
        }
    }
    problems
}

/// `restartPolicy` and `restartPolicyRules` of a container.
fn restart(container: &Value, path: &Path) -> Problems {
    let rules = list(container, "/restartPolicyRules");
    let mut problems = Problems::new();
    let at = path.child("restartPolicy");
    match container["restartPolicy"].as_str() {
        None if rules.is_empty() => return problems,
        None => {
            let words = "must specify restartPolicy when restart rules are used";
            problems.push(Problem::required(at, words));
        }
        Some(policy) => {
            problems.extend(check::known(policy, at, &["Always", "Never", "OnFailure"]));
        }
    }
    let at = path.child("restartPolicyRules");
    problems.extend(too_many(rules.len(), 20, &at));
    for (i, rule) in rules.iter().enumerate() {
        problems.extend(restart_rule(rule, &at.index(i)));
    }
    problems
}

fn restart_rule(rule: &Value, path: &Path) -> Problems {
    let action = text(rule, "/action");
    let known = ["Restart", "RestartAllContainers"];
    let mut problems = check::known(action, path.child("action"), &known);
    let at = path.child("exitCodes");
    if !present(rule, "/exitCodes") {
        problems.push(Problem::required(at, "must be specified"));
        return problems;
    }
    let operator = text(rule, "/exitCodes/operator");
    problems.extend(check::known(
        operator,
        at.child("operator"),
        &["In", "NotIn"],
    ));
    problems.extend(too_many(
        list(rule, "/exitCodes/values").len(),
        255,
        &at.child("values"),
    ));
    problems
}

fn too_many(count: usize, limit: usize, at: &Path) -> Option<Problem> {
    (count > limit).then(|| Problem {
        kind: Kind::TooMany,
        field: at.clone(),
        value: count.to_string(),
        detail: format!("must have at most {limit} items"),
    })
}
