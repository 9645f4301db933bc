//! What a pod says about Windows, and what operating systems exclude.

use serde_json::Value;

use super::all_containers;
use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{boolean, present, text};

const MAX_CREDENTIAL: usize = 64 * 1024;
const MAX_DOMAIN: usize = 256;
const MAX_USER: usize = 104;

/// `windowsOptions`.
pub(super) fn options(options: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    if let Some(name) = options["gmsaCredentialSpecName"].as_str() {
        problems.extend(check::dns_subdomain(
            name,
            &path.child("gmsaCredentialSpecName"),
        ));
    }
    if let Some(spec) = options["gmsaCredentialSpec"].as_str() {
        let at = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            let words = "gmsaCredentialSpec cannot be an empty string";
            problems.push(Problem::invalid(at, spec, words));
        } else if spec.len() > MAX_CREDENTIAL {
            let words = "gmsaCredentialSpec size must be under 64 KiB";
            problems.push(Problem::invalid(at, spec, words));
        }
    }
    if let Some(name) = options["runAsUserName"].as_str() {
        let at = path.child("runAsUserName");
        let problem = |words| Problem::invalid(at.clone(), name, words);
        problems.extend(user_name(name).into_iter().map(problem));
    }
    problems
}

fn user_name(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts.as_slice() {
        _ if name.is_empty() => return vec!["runAsUserName cannot be an empty string".to_owned()],
        _ if name.chars().any(|c| c.is_ascii_control()) => {
            return vec!["runAsUserName cannot contain control characters".to_owned()];
        }
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return vec!["runAsUserName cannot contain more than one backslash".to_owned()],
    };
    let mut wrong = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= MAX_DOMAIN) {
        wrong.push(format!(
            "runAsUserName's Domain length must be under {MAX_DOMAIN} characters"
        ));
    }
    if domain.is_some_and(|domain| !is_net_bios(domain) && !is_dns(domain)) {
        wrong
            .push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_owned());
    }
    if user.is_empty() {
        wrong.push("runAsUserName's User cannot be empty".to_owned());
    } else if user.len() > MAX_USER {
        wrong.push(format!(
            "runAsUserName's User length must not be longer than {MAX_USER} characters"
        ));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        wrong.push("runAsUserName's User cannot contain only periods or spaces".to_owned());
    }
    if user.contains([
        '"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']',
    ]) {
        let text =
            r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#;
        wrong.push(text.to_owned());
    }
    wrong
}

fn is_net_bios(domain: &str) -> bool {
    let barred = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];
    (1..=15).contains(&domain.chars().count())
        && !domain.contains(barred)
        && !domain.starts_with('.')
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let mut bytes = label.bytes();
        (1..=63).contains(&label.len())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// Host processes: all of a pod's containers or none, and on the host's network.
pub(super) fn host_processes(spec: &Value, path: &Path) -> Problems {
    const FLAG: &str = "/securityContext/windowsOptions/hostProcess";
    let of_pod = boolean(spec, FLAG);
    let (mut all, mut on_host) = (0, 0);
    let mut problems = Problems::new();
    for (container, at) in all_containers(spec, path) {
        all += 1;
        let own = boolean(container, FLAG);
        if let (Some(of_pod), Some(own)) = (of_pod, own)
            && of_pod != own
        {
            let words = format!(
                "pod hostProcess value must be identical if both are specified, was {of_pod}"
            );
            let at = at.child("securityContext.windowsOptions.hostProcess");
            problems.push(Problem::invalid(at, own, words));
        }
        on_host += u32::from(own.or(of_pod) == Some(true));
    }
    if on_host == 0 {
        return problems;
    }
    if on_host != all {
        let words = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        problems.push(Problem::invalid(path.clone(), "", words));
    }
    if boolean(spec, "/hostNetwork") != Some(true) {
        let words = "hostNetwork must be true if pod contains any hostProcess containers";
        problems.push(Problem::invalid(path.child("hostNetwork"), false, words));
    }
    problems
}

/// `os`, and what it excludes.
pub(super) fn operating_system(spec: &Value, path: &Path) -> Problems {
    if !present(spec, "/os") {
        return Problems::new();
    }
    let at = path.child("os");
    match text(spec, "/os/name") {
        "" => vec![Problem::required(at.child("name"), "")],
        "linux" => linux(spec, path),
        "windows" => windows(spec, path),
        other => check::known(other, at, &["linux", "windows"]),
    }
}

fn linux(spec: &Value, path: &Path) -> Problems {
    let words = "windows options cannot be set for a linux pod";
    let pod = (spec, path.clone());
    let all = std::iter::once(pod).chain(all_containers(spec, path));
    let set = all.filter(|(owner, _)| present(owner, "/securityContext/windowsOptions"));
    set.map(|(_, at)| Problem::forbidden(at.child("securityContext.windowsOptions"), words))
        .collect()
}

/// In the order of upstream; what has no `securityContext` before it is a member of the spec in v1.
const NOT_OF_WINDOWS_PODS: [&str; 15] = [
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
];

const NOT_OF_WINDOWS_CONTAINERS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

fn windows(spec: &Value, path: &Path) -> Problems {
    let words = "cannot be set for a windows pod";
    let set = |member: &&str| {
        let pointer = format!("/{}", member.replace('.', "/"));
        let plain = ["hostPID", "hostIPC"].contains(member);
        present(spec, &pointer) && (!plain || boolean(spec, &pointer) == Some(true))
    };
    let of_pod = NOT_OF_WINDOWS_PODS.iter().filter(|member| set(member));
    let mut problems: Problems = of_pod
        .map(|member| Problem::forbidden(path.child(member), words))
        .collect();
    for (container, at) in all_containers(spec, path) {
        let set = |member: &&&str| present(container, &format!("/securityContext/{member}"));
        let found = NOT_OF_WINDOWS_CONTAINERS.iter().filter(set);
        let at = at.child("securityContext");
        problems.extend(found.map(|member| Problem::forbidden(at.child(member), words)));
    }
    problems
}
