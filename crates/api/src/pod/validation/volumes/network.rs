//! Sources that somebody else serves: disks of clouds, network file systems, drivers.

use serde_json::Value;

use super::Place;
use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{boolean, integer, list, pairs, present, text, texts};

/// Members that may not be empty.
fn all_needed(source: &Value, members: &[&str], path: &Path) -> Problems {
    members
        .iter()
        .flat_map(|member| check::needed(source, member, path))
        .collect()
}

/// The secret beside a source, where there is one, has a name.
fn secret_name(source: &Value, member: &str, path: &Path) -> Problems {
    if !present(source, &format!("/{member}")) {
        return Problems::new();
    }
    check::needed(&source[member], "name", &path.child(member))
}

fn partition(source: &Value, path: &Path) -> Problems {
    let partition = integer(source, "/partition");
    if (0..=255).contains(&partition) {
        return Problems::new();
    }
    let words = "must be between 1 and 255, inclusive";
    vec![Problem::invalid(path.child("partition"), partition, words)]
}

pub(super) fn gce_disk(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = all_needed(source, &["pdName"], path);
    problems.extend(partition(source, path));
    problems
}

pub(super) fn aws_disk(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = all_needed(source, &["volumeID"], path);
    problems.extend(partition(source, path));
    problems
}

pub(super) fn nfs(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = all_needed(source, &["server", "path"], path);
    let place = text(source, "/path");
    if !place.starts_with('/') {
        let words = "must be an absolute path";
        problems.push(Problem::invalid(path.child("path"), place, words));
    }
    problems
}

pub(super) fn glusterfs(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["endpoints", "path"], path)
}

pub(super) fn flocker(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let (name, id) = (text(source, "/datasetName"), text(source, "/datasetUUID"));
    let mut problems = Problems::new();
    if name.is_empty() && id.is_empty() {
        let words = "one of datasetName and datasetUUID is required";
        problems.push(Problem::required(path.clone(), words));
    }
    if !name.is_empty() && !id.is_empty() {
        let words = "datasetName and datasetUUID can not be specified simultaneously";
        problems.push(Problem::invalid(path.clone(), "resource", words));
    }
    if name.contains('/') {
        problems.push(Problem::invalid(
            path.child("datasetName"),
            name,
            "must not contain '/'",
        ));
    }
    problems
}

pub(super) fn claim(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["claimName"], path)
}

pub(super) fn rbd(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = monitors(source, path);
    problems.extend(all_needed(source, &["image"], path));
    problems
}

pub(super) fn cinder(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = all_needed(source, &["volumeID"], path);
    problems.extend(secret_name(source, "secretRef", path));
    problems
}

pub(super) fn ceph_fs(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    monitors(source, path)
}

fn monitors(source: &Value, path: &Path) -> Problems {
    if list(source, "/monitors").is_empty() {
        return vec![Problem::required(path.child("monitors"), "")];
    }
    Problems::new()
}

pub(super) fn quobyte(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(source, "/registry");
    let mut problems = Problems::new();
    if registry.is_empty() {
        problems.push(Problem::required(path.child("registry"), PAIRS));
    } else if text(source, "/tenant").len() >= 65 {
        let words = "must be a UUID and may not exceed a length of 64 characters";
        problems.push(Problem::required(path.child("tenant"), words));
    } else {
        let wrong = registry.split(',').filter(|pair| !is_host_port(pair));
        problems.extend(wrong.map(|_| Problem::invalid(path.child("registry"), registry, PAIRS)));
    }
    problems.extend(all_needed(source, &["volume"], path));
    problems
}

/// As Go's `net.SplitHostPort`: one colon outside of brackets.
fn is_host_port(pair: &str) -> bool {
    match pair.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(host, port)| {
            port.starts_with(':') && port.matches(':').count() == 1 && !host.contains('[')
        }),
        None => pair.matches(':').count() == 1 && !pair.contains(['[', ']']),
    }
}

pub(super) fn fibre_channel(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let (targets, ids) = (texts(source, "/targetWWNs"), texts(source, "/wwids"));
    let at = path.child("targetWWNs");
    let mut problems = Problems::new();
    if targets.is_empty() && ids.is_empty() {
        let words = "must specify either targetWWNs or wwids, but not both";
        problems.push(Problem::required(at.clone(), words));
    }
    if !targets.is_empty() && !ids.is_empty() {
        let words = "targetWWNs and wwids can not be specified simultaneously";
        problems.push(Problem::invalid(at, targets.clone(), words));
    }
    if targets.is_empty() {
        return problems;
    }
    match source["lun"].as_i64() {
        Some(lun) => problems.extend(check::within(lun, &path.child("lun"), 0, 255)),
        None => {
            let words = "lun is required if targetWWNs is specified";
            problems.push(Problem::required(path.child("lun"), words));
        }
    }
    problems
}

pub(super) fn flex(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = all_needed(source, &["driver"], path);
    for (key, _) in pairs(source, "/options") {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
        let domain = format!(".{}", namespace.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let words = "kubernetes.io and k8s.io namespaces are reserved";
            problems.push(Problem::invalid(path.child("options").key(key), key, words));
        }
    }
    problems
}

pub(super) fn azure_file(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["secretName", "shareName"], path)
}

pub(super) fn azure_disk(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    const MANAGED: &str = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str =
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    let mut problems = all_needed(source, &["diskName", "diskURI"], path);
    let known = ["None", "ReadOnly", "ReadWrite"];
    problems.extend(check::known_if_set(source, "cachingMode", path, &known));
    let known = ["Dedicated", "Managed", "Shared"];
    problems.extend(check::known_if_set(source, "kind", path, &known));
    let uri = text(source, "/diskURI");
    let wanted = match source["kind"].as_str() {
        Some("Managed") if !uri.starts_with("/subscriptions/") => MANAGED,
        Some(kind) if kind != "Managed" && !uri.starts_with("https://") => BLOB,
        _ => return problems,
    };
    problems.push(Problem::not_supported(
        path.child("diskURI"),
        uri,
        &[wanted],
    ));
    problems
}

pub(super) fn vsphere(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["volumePath"], path)
}

pub(super) fn photon(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["pdID"], path)
}

pub(super) fn portworx(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["volumeID"], path)
}

pub(super) fn storage_os(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let mut problems = all_needed(source, &["volumeName"], path);
    for member in ["volumeName", "volumeNamespace"] {
        let name = text(source, &format!("/{member}"));
        if !name.is_empty() {
            problems.extend(check::dns_label(name, &path.child(member)));
        }
    }
    problems.extend(secret_name(source, "secretRef", path));
    problems
}

pub(super) fn scale_io(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    all_needed(source, &["gateway", "system", "volumeName"], path)
}

pub(super) fn csi(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let (driver, at) = (text(source, "/driver"), path.child("driver"));
    let mut problems = all_needed(source, &["driver"], path);
    if driver.len() > 63 {
        problems.push(Problem::too_long(at.clone(), 63));
    }
    if !driver.is_empty() {
        let found = crate::validation::names::dns_subdomain(&driver.to_lowercase());
        problems.extend(crate::validation::labels::invalid(&at, driver, found));
    }
    let member = "nodePublishSecretRef";
    match source[member]["name"].as_str() {
        Some(name) if !name.is_empty() => {
            problems.extend(check::dns_subdomain(name, &path.child("name")));
        }
        _ => problems.extend(secret_name(source, member, path)),
    }
    problems
}

pub(super) fn iscsi(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    const FORMS: &str = "must be valid format starting with iqn, eui, or naa";
    let mut problems = all_needed(source, &["targetPortal", "iqn"], path);
    let name = text(source, "/iqn");
    let mut say = |member: &str, name: &str, words| {
        problems.push(Problem::invalid(path.child(member), name, words));
    };
    match iscsi_form(name) {
        _ if name.is_empty() => {}
        None => say("iqn", name, FORMS),
        Some(false) => say("iqn", name, "must be valid format"),
        Some(true) => {}
    }
    let lun = integer(source, "/lun");
    problems.extend(check::within(lun, &path.child("lun"), 0, 255));
    let authenticates = |member: &str| boolean(source, member) == Some(true);
    let asks = authenticates("/chapAuthDiscovery") || authenticates("/chapAuthSession");
    if asks && !present(source, "/secretRef") {
        problems.push(Problem::required(path.child("secretRef"), ""));
    }
    if let Some(name) = source["initiatorName"].as_str() {
        let words = match iscsi_form(name) {
            None => FORMS,
            Some(false) => "must be valid format",
            Some(true) => return problems,
        };
        problems.push(Problem::invalid(path.child("initiatorname"), name, words));
    }
    problems
}

/// Whether an iSCSI name is sound; none where it begins like no such name.
fn iscsi_form(name: &str) -> Option<bool> {
    match name.get(..3)? {
        "iqn" => Some(is_iqn(name)),
        "eui" => Some(is_hex_like(name, 16)),
        "naa" => Some(is_hex_like(name, 32)),
        _ => None,
    }
}

/// `iqn.2001-04.com.example:storage`, anywhere in the text.
fn is_iqn(name: &str) -> bool {
    let sound = |rest: &str| {
        let Some((authority, unique)) = rest.split_once(':') else {
            return false;
        };
        let bytes = authority.as_bytes();
        let digits = |range: std::ops::Range<usize>| {
            bytes
                .get(range)
                .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
        };
        let domain = authority.get(8..).unwrap_or_default();
        let dated = digits(0..4)
            && bytes.get(4) == Some(&b'-')
            && digits(5..7)
            && bytes.get(7) == Some(&b'.');
        dated
            && !domain.is_empty()
            && domain
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            && !unique.is_empty()
            && !unique.contains(|c: char| ",;*&$|".contains(c) || c.is_ascii_whitespace())
    };
    name.match_indices("iqn.")
        .any(|(at, _)| sound(&name[at + 4..]))
}

fn is_hex_like(name: &str, digits: usize) -> bool {
    let mut rest = name.chars().skip(4);
    name.chars().count() == digits + 4 && rest.all(|c| c.is_ascii_alphanumeric())
}

/// The volume's name and the portal together name a node's initiator.
pub(super) fn iscsi_name(source: &Value, place: &Place<'_>, path: &Path) -> Option<Problem> {
    let words = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                 iscsi.initiatorName is specified.";
    let length = place.name.len() + 1 + text(source, "/targetPortal").len();
    let too_long = present(source, "/initiatorName") && length > 64;
    too_long.then(|| Problem::invalid(path.child("name"), place.name, words))
}

#[cfg(test)]
mod tests {
    use super::{is_host_port, iscsi_form};

    #[test]
    fn iscsi_names_have_three_forms() {
        for good in [
            "iqn.2015-02.example.com:test",
            "eui.0123456789abcdef",
            "naa.0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(iscsi_form(good), Some(true), "{good}");
        }
        for bad in [
            "iqn.2015-2.example.com:t",
            "iqn.2015-02.example.com",
            "iqn.2015-02.a:b c",
            "eui.012",
        ] {
            assert_eq!(iscsi_form(bad), Some(false), "{bad}");
        }
        assert_eq!(iscsi_form("x"), None);
    }

    #[test]
    fn a_host_and_a_port_have_one_colon_between_them() {
        for good in ["a:1", "[::1]:2", ":"] {
            assert!(is_host_port(good), "{good}");
        }
        for bad in ["a", "::1", "[::1]", "a:1:2"] {
            assert!(!is_host_port(bad), "{bad}");
        }
    }
}
