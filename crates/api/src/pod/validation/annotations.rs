//! Annotations of pods that mean something: mirror pods, deletion costs, the old ways to say profiles.

use serde_json::Value;

use super::{all_containers, scheduling};
use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{pairs, text};

/// The pod mirrors one that a node runs by itself.
pub(super) const MIRROR_POINTER: &str = "/annotations/kubernetes.io~1config.mirror";
const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The annotations of a pod or of a template.
pub(super) fn annotations(meta: &Value, spec: &Value, path: &Path) -> Problems {
    let all = pairs(meta, "/annotations");
    let mut problems = Problems::new();
    for (key, value) in &all {
        let at = path.key(key);
        if *key == MIRROR && text(spec, "/nodeName").is_empty() {
            let words = "must set spec.nodeName if mirror pod annotation is set";
            problems.push(Problem::invalid(at, *value, words));
        }
    }
    problems.extend(tolerations(meta, path));
    for (key, value) in &all {
        if *key == DELETION_COST && !is_cost(value) {
            let words = "must be a 32bit integer";
            problems.push(Problem::invalid(path.key(key), *value, words));
        }
    }
    for (key, value) in &all {
        if *key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            problems.extend(seccomp(value, &path.child(key)));
        }
    }
    for (key, value) in &all {
        if let Some(container) = key.strip_prefix(APP_ARMOR) {
            problems.extend(app_armor(container, value, spec, &path.key(key)));
        }
    }
    problems
}

fn tolerations(meta: &Value, path: &Path) -> Problems {
    let Some(said) = meta["annotations"][TOLERATIONS]
        .as_str()
        .filter(|said| !said.is_empty())
    else {
        return Problems::new();
    };
    match serde_json::from_str::<Vec<Value>>(said) {
        Ok(list) => scheduling::tolerations(&list, &path.child(TOLERATIONS)),
        Err(why) => vec![Problem::invalid(path.clone(), TOLERATIONS, why.to_string())],
    }
}

/// No plus sign and no leading zeros.
fn is_cost(value: &str) -> bool {
    let plain = value.starts_with(|c: char| c == '-' || ('1'..='9').contains(&c)) || value == "0";
    plain && value.parse::<i32>().is_ok()
}

fn seccomp(profile: &str, at: &Path) -> Problems {
    if ["runtime/default", "docker/default", "unconfined"].contains(&profile) {
        return Problems::new();
    }
    match profile.strip_prefix("localhost/") {
        Some(file) => check::descending_path(file, at),
        None => vec![Problem::invalid(
            at.clone(),
            profile,
            "must be a valid seccomp profile",
        )],
    }
}

fn app_armor(container: &str, profile: &str, spec: &Value, at: &Path) -> Problems {
    let mut problems = Problems::new();
    let is_there = |(one, _): &(&Value, Path)| one["name"] == container;
    if !all_containers(spec, &Path::default()).iter().any(is_there) {
        problems.push(Problem::invalid(
            at.clone(),
            container,
            "container not found",
        ));
    }
    let fine = ["", "runtime/default", "unconfined"].contains(&profile)
        || profile.starts_with("localhost/");
    if !fine {
        let quoted = crate::field::shown(&profile.into());
        let words = format!("invalid AppArmor profile name: {quoted}");
        problems.push(Problem::invalid(at.clone(), profile, words));
    }
    problems
}

/// What a write may not change.
pub(super) fn update(new: &Value, old: &Value, path: &Path) -> Problems {
    let mut problems = kept(new, old, path);
    problems.extend(annotations(&new["metadata"], &new["spec"], path));
    problems
}

fn kept(new: &Value, old: &Value, path: &Path) -> Problems {
    let (new, old) = (
        pairs(new, "/metadata/annotations"),
        pairs(old, "/metadata/annotations"),
    );
    let mut problems = Problems::new();
    let mut refuse = |key: &str, verb: &str| {
        if key.starts_with(APP_ARMOR) {
            let words = format!("may not {verb} AppArmor annotations");
            problems.push(Problem::forbidden(path.key(key), words));
        }
        if key == MIRROR {
            let words = format!("may not {verb} mirror pod annotation");
            problems.push(Problem::forbidden(path.key(key), words));
        }
    };
    for (key, _) in old.iter().filter(|pair| !new.contains(pair)) {
        refuse(key, "remove or update");
    }
    for (key, _) in new
        .iter()
        .filter(|(key, _)| !old.iter().any(|(other, _)| other == key))
    {
        refuse(key, "add");
    }
    problems
}

/// A profile that is said in both ways has to be the same.
pub(super) fn profiles_agree(meta: &Value, spec: &Value, path: &Path) -> Problems {
    let annotations = &meta["annotations"];
    let mut problems = Problems::new();
    let at = path.child("securityContext").child("seccompProfile");
    let of_pod = &spec["securityContext"]["seccompProfile"];
    problems.extend(seccomp_agrees(
        annotations[SECCOMP_POD].as_str(),
        of_pod,
        &at,
    ));
    for (container, at) in all_containers(spec, path) {
        let said = annotations[format!("{SECCOMP_CONTAINER}{}", text(container, "/name"))].as_str();
        let own = &container["securityContext"]["seccompProfile"];
        let at = at.child("securityContext").child("seccompProfile");
        problems.extend(seccomp_agrees(said, own, &at));
    }
    if spec["os"]["name"] == "windows" {
        return problems;
    }
    let of_pod = &spec["securityContext"]["appArmorProfile"];
    for (container, at) in all_containers(spec, path) {
        let own = &container["securityContext"]["appArmorProfile"];
        let profile = if own.is_null() { of_pod } else { own };
        let said = annotations[format!("{APP_ARMOR}{}", text(container, "/name"))].as_str();
        let at = at.child("securityContext").child("appArmorProfile");
        problems.extend(agrees(said, profile, "apparmor", &["runtime/default"], &at));
    }
    problems
}

fn seccomp_agrees(said: Option<&str>, profile: &Value, at: &Path) -> Option<Problem> {
    agrees(
        said,
        profile,
        "seccomp",
        &["runtime/default", "docker/default"],
        at,
    )
}

fn agrees(
    said: Option<&str>,
    profile: &Value,
    what: &str,
    defaults: &[&str],
    at: &Path,
) -> Option<Problem> {
    let said = said?;
    let type_differs = match text(profile, "/type") {
        "Unconfined" => said != "unconfined",
        "RuntimeDefault" => !defaults.contains(&said),
        "Localhost" => !said.starts_with("localhost/"),
        _ => return None,
    };
    if type_differs {
        let words = format!("{what} type in annotation and field must match");
        return Some(Problem::forbidden(at.child("type"), words));
    }
    let file = said
        .strip_prefix("localhost/")
        .filter(|_| profile["type"] == "Localhost")?;
    let words = format!("{what} profile in annotation and field must match");
    (profile["localhostProfile"] != file)
        .then(|| Problem::forbidden(at.child("localhostProfile"), words))
}
