//! Security contexts of pods and containers.

use serde_json::Value;

use super::windows;
use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{boolean, list, present, text, texts};

/// User and group numbers end here.
const MAX_ID: i64 = i32::MAX as i64;

const SYSCTL: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// `securityContext` of a pod.
pub(super) fn of_pod(spec: &Value, path: &Path) -> Problems {
    if !present(spec, "/securityContext") {
        return Problems::new();
    }
    let context = &spec["securityContext"];
    let mut problems = Problems::new();
    for member in ["fsGroup", "runAsUser", "runAsGroup"] {
        problems.extend(check::within_if_set(context, member, path, 0, MAX_ID));
    }
    for (i, group) in list(context, "/supplementalGroups").iter().enumerate() {
        let at = path.child("supplementalGroups").index(i);
        problems.extend(check::within(group.as_i64().unwrap_or(0), &at, 0, MAX_ID));
    }
    let shares = boolean(spec, "/shareProcessNamespace") == Some(true);
    if shares && boolean(spec, "/hostPID") == Some(true) {
        let words = "ShareProcessNamespace and HostPID cannot both be enabled";
        problems.push(Problem::invalid(
            path.child("shareProcessNamespace"),
            true,
            words,
        ));
    }
    problems.extend(sysctls(spec, &path.child("sysctls")));
    let known = ["Always", "OnRootMismatch"];
    problems.extend(check::known_if_set(
        context,
        "fsGroupChangePolicy",
        path,
        &known,
    ));
    problems.extend(seccomp(
        &context["seccompProfile"],
        &path.child("seccompProfile"),
    ));
    problems.extend(windows::options(
        &context["windowsOptions"],
        &path.child("windowsOptions"),
    ));
    problems.extend(app_armor(
        &context["appArmorProfile"],
        &path.child("appArmorProfile"),
    ));
    let known = ["Merge", "Strict"];
    problems.extend(check::known_if_set(
        context,
        "supplementalGroupsPolicy",
        path,
        &known,
    ));
    problems.extend(check::known_if_set(
        context,
        "seLinuxChangePolicy",
        path,
        &["Recursive"],
    ));
    problems
}

/// `securityContext` of a container.
pub(super) fn of_container(container: &Value, host_users: bool, path: &Path) -> Problems {
    let context = &container["securityContext"];
    if context.is_null() {
        return Problems::new();
    }
    let mut problems = Problems::new();
    for member in ["runAsUser", "runAsGroup"] {
        problems.extend(check::within_if_set(context, member, path, 0, MAX_ID));
    }
    problems.extend(check::known_if_set(
        context,
        "procMount",
        path,
        &["Default", "Unmasked"],
    ));
    if host_users && context["procMount"] == "Unmasked" {
        let words = "`hostUsers` must be false to use `Unmasked`";
        problems.push(Problem::invalid(path.child("procMount"), "Unmasked", words));
    }
    problems.extend(seccomp(
        &context["seccompProfile"],
        &path.child("seccompProfile"),
    ));
    problems.extend(escalation(context, path));
    problems.extend(windows::options(
        &context["windowsOptions"],
        &path.child("windowsOptions"),
    ));
    problems.extend(app_armor(
        &context["appArmorProfile"],
        &path.child("appArmorProfile"),
    ));
    problems
}

/// Who may not gain rights may not have all of them.
fn escalation(context: &Value, path: &Path) -> Problems {
    if boolean(context, "/allowPrivilegeEscalation") != Some(false) {
        return Problems::new();
    }
    let mut wrong = Vec::new();
    if boolean(context, "/privileged") == Some(true) {
        wrong.push("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    let admin = texts(context, "/capabilities/add")
        .into_iter()
        .filter(|cap| *cap == "CAP_SYS_ADMIN");
    wrong.extend(admin.map(
        |_| "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
    ));
    let shown = |words| {
        Problem::invalid_as(
            path.clone(),
            super::shown("SecurityContext", context),
            words,
        )
    };
    wrong.into_iter().map(shown).collect()
}

fn seccomp(profile: &Value, path: &Path) -> Problems {
    if profile.is_null() {
        return Problems::new();
    }
    let mut problems = match text(profile, "/type") {
        "" => vec![Problem::required(
            path.child("type"),
            "type is required when seccompProfile is set",
        )],
        kind => check::known(
            kind,
            path.child("type"),
            &["Localhost", "RuntimeDefault", "Unconfined"],
        ),
    };
    let at = path.child("localhostProfile");
    match (text(profile, "/type"), profile["localhostProfile"].as_str()) {
        ("Localhost", None) => {
            let words = "must be set when seccomp type is Localhost";
            problems.push(Problem::required(at, words));
        }
        ("Localhost", Some(file)) => problems.extend(check::descending_path(file, &at)),
        (_, Some(_)) => {
            let shown = super::shown("SeccompProfile", profile);
            let words = "can only be set when seccomp type is Localhost";
            problems.push(Problem::invalid_as(at, shown, words));
        }
        (_, None) => {}
    }
    problems
}

fn app_armor(profile: &Value, path: &Path) -> Problems {
    const NEEDED: &str = "must be set when AppArmor type is Localhost";
    if profile.is_null() {
        return Problems::new();
    }
    let at = path.child("localhostProfile");
    let file = profile["localhostProfile"].as_str();
    match (text(profile, "/type"), file) {
        ("Localhost", None) => vec![Problem::required(at, NEEDED)],
        ("Localhost", Some(file)) => {
            let mut problems = Problems::new();
            if file.trim() != file {
                let words = "must not be padded with whitespace";
                problems.push(Problem::invalid(at.clone(), file, words));
            } else if file.is_empty() {
                problems.push(Problem::required(at.clone(), NEEDED));
            }
            if file.len() > 4_095 {
                problems.push(Problem::too_long(at, 4_095));
            }
            problems
        }
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            let words = "can only be set when AppArmor type is Localhost";
            vec![Problem::invalid(at, file, words)]
        }
        ("RuntimeDefault" | "Unconfined", None) => Problems::new(),
        ("", _) => {
            let words = "type is required when appArmorProfile is set";
            vec![Problem::required(path.child("type"), words)]
        }
        (kind, _) => check::known(
            kind,
            path.child("type"),
            &["Localhost", "RuntimeDefault", "Unconfined"],
        ),
    }
}

fn sysctls(spec: &Value, path: &Path) -> Problems {
    let all = list(spec, "/securityContext/sysctls");
    let mut problems = Problems::new();
    for (i, sysctl) in all.iter().enumerate() {
        let (at, name) = (path.index(i).child("name"), text(sysctl, "/name"));
        if name.is_empty() {
            problems.push(Problem::required(at.clone(), ""));
        } else if !is_sysctl(name) {
            let words = format!("must have at most 253 characters and match regex {SYSCTL}");
            problems.push(Problem::invalid(at.clone(), name, words));
        } else if all[..i].iter().any(|other| text(other, "/name") == name) {
            problems.push(Problem::duplicate(at.clone(), name));
        }
        let host = |flag: &str| boolean(spec, flag) == Some(true);
        let words = match sysctl_namespace(name) {
            Some("net") if host("/hostNetwork") => {
                "may not be specified when 'hostNetwork' is true"
            }
            Some("ipc") if host("/hostIPC") => "may not be specified when 'hostIPC' is true",
            _ => continue,
        };
        problems.push(Problem::invalid(at, name, words));
    }
    problems
}

/// Words of lower-case letters, digits, dashes and underscores, joined by dots or slashes.
fn is_sysctl(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edge = |b: Option<u8>| b.is_some_and(alphanumeric);
    let word = |part: &str| {
        let mut inner = part.bytes();
        inner.all(|b| alphanumeric(b) || b == b'-' || b == b'_')
            && edge(part.bytes().next())
            && edge(part.bytes().last())
    };
    name.len() <= 253 && name.split(['.', '/']).all(word)
}

/// Which namespace of the kernel a sysctl belongs to.
fn sysctl_namespace(name: &str) -> Option<&'static str> {
    const IPC: [&str; 10] = [
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.shm",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.msg",
    ];
    let dotted = dotted(name);
    let stem = dotted.split('*').next().unwrap_or_default();
    if IPC.contains(&stem) || stem.starts_with("fs.mqueue.") {
        Some("ipc")
    } else if stem.starts_with("net.") {
        Some("net")
    } else {
        None
    }
}

/// With slashes where others have dots: the first separator tells which way it is written.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'/' => {
            let swap = |c| match c {
                '/' => '.',
                '.' => '/',
                other => other,
            };
            name.chars().map(swap).collect()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_sysctl, sysctl_namespace};

    #[test]
    fn sysctls_are_words_and_belong_to_namespaces() {
        for good in ["net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/x", "a-b_c"] {
            assert!(is_sysctl(good), "{good}");
        }
        for bad in ["", "a..b", ".a", "A", "a-", "net.*"] {
            assert!(!is_sysctl(bad), "{bad}");
        }
        assert_eq!(sysctl_namespace("net/ipv4/ip_forward"), Some("net"));
        assert_eq!(sysctl_namespace("kernel.shm*"), Some("ipc"));
        assert_eq!(sysctl_namespace("kernel.shmX"), None);
        assert_eq!(sysctl_namespace("vm.swappiness"), None);
    }
}
