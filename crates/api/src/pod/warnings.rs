//! What clients are warned about a pod or a template that was accepted all the same (`api/pod/warnings.go`).

mod overlaps;
mod ports;

use serde_json::Value;

use super::validation::all_containers;
use crate::field::{Path, shown};
use crate::schema::quantity::Quantity;
use crate::validation::json::{list, pairs, present, text};
use crate::validation::{ip, names};

const HARD: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const SOFT: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

/// Labels of nodes that have better names.
const OLD_LABELS: [(&str, &str); 8] = [
    (
        "beta.kubernetes.io/arch",
        "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
    ),
    (
        "beta.kubernetes.io/os",
        "deprecated since v1.14; use \"kubernetes.io/os\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    (
        "node-role.kubernetes.io/master",
        "use \"node-role.kubernetes.io/control-plane\" instead",
    ),
];

/// What is said of a name that no host can have.
pub(crate) fn host_name(object: &Value, whose: &str) -> Option<String> {
    let found = names::dns_label(text(object, "/metadata/name"));
    let told = found.join(" ");
    (!found.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in {whose}, which can result in surprising behavior; a DNS label is \
             recommended: [{told}]"
        )
    })
}

/// The warnings of a pod (with an empty path) or a template.
pub(crate) fn warnings(object: &Value, path: &Path) -> Vec<String> {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    let at = path.child("spec");
    let annotations = path.child("metadata").child("annotations");
    let mut warnings = node_labels(spec, &at);
    warnings.extend(spread(spec, &at.child("topologySpreadConstraints")));
    warnings.extend(old_annotations(meta, &annotations));
    warnings.extend(volumes(spec, &at.child("volumes")));
    warnings.extend(overlaps::warnings(spec));
    warnings.extend(duplicates(spec, "hostAliases", "ip", &at));
    warnings.extend(duplicates(spec, "imagePullSecrets", "name", &at));
    for (i, secret) in list(spec, "/imagePullSecrets").iter().enumerate() {
        if text(secret, "/name").is_empty() {
            let at = at.child("imagePullSecrets").index(i).child("name");
            warnings.push(format!("{at}: invalid empty name \"\""));
        }
    }
    warnings.extend(fractions(&spec["overhead"], &at.child("overhead")));
    let seccomp = "seccomp.security.alpha.kubernetes.io/pod";
    warnings.extend(seccomp_annotation(meta, spec, seccomp, &annotations));
    for (container, at) in all_containers(spec, &at) {
        warnings.extend(of_container(meta, container, &annotations, &at));
    }
    warnings.extend(ports::warnings(spec, &at));
    if spec["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 0)
    {
        let at = at.child("terminationGracePeriodSeconds");
        warnings.push(format!(
            "{at}: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    warnings.extend(affinity(spec, &at.child("affinity")));
    warnings.extend(addresses(spec, &at));
    warnings
}

/// The deprecation of a node's label.
fn old_label(key: &str) -> Option<&'static str> {
    let found = OLD_LABELS.iter().find(|(old, _)| *old == key);
    found.map(|(_, words)| *words)
}

fn node_labels(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (key, _) in pairs(spec, "/nodeSelector") {
        if let Some(words) = old_label(key) {
            warnings.push(format!("{}: {words}", path.child("nodeSelector").key(key)));
        }
    }
    let affinity = &spec["affinity"]["nodeAffinity"];
    let at = path.child("affinity").child("nodeAffinity");
    let terms = list(affinity, &format!("/{HARD}/nodeSelectorTerms"));
    for (i, term) in terms.iter().enumerate() {
        let at = at.child(HARD).child("nodeSelectorTerms").index(i);
        warnings.extend(node_term(term, false, &at));
    }
    for (i, term) in list(affinity, &format!("/{SOFT}")).iter().enumerate() {
        let at = at.child(SOFT).index(i).child("preference");
        warnings.extend(node_term(&term["preference"], true, &at));
    }
    warnings
}

fn node_term(term: &Value, check_values: bool, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (i, rule) in list(term, "/matchExpressions").iter().enumerate() {
        let (at, key) = (path.child("matchExpressions").index(i), text(rule, "/key"));
        if let Some(words) = old_label(key) {
            warnings.push(format!("{}: {key} is {words}", at.child("key")));
        }
        if !check_values {
            continue;
        }
        for (j, value) in list(rule, "/values").iter().enumerate() {
            let value = value.as_str().unwrap_or_default();
            for words in names::label_value(value) {
                warnings.push(format!(
                    "{}: {value} is invalid, {words}",
                    at.child("values").index(j)
                ));
            }
        }
    }
    warnings
}

fn spread(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (i, constraint) in list(spec, "/topologySpreadConstraints").iter().enumerate() {
        let (at, key) = (path.index(i), text(constraint, "/topologyKey"));
        if let Some(words) = old_label(key) {
            warnings.push(format!("{}: {key} is {words}", at.child("topologyKey")));
        }
        if constraint["labelSelector"].is_null() {
            warnings.push(format!("{}: {NO_SELECTOR}", at.child("labelSelector")));
        }
    }
    warnings
}

fn old_annotations(meta: &Value, path: &Path) -> Vec<String> {
    const OLD: [(&str, &str); 3] = [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/unsafe-sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
    ];
    let set = OLD
        .iter()
        .filter(|(key, _)| !meta["annotations"][*key].is_null());
    set.map(|(key, words)| format!("{}: {words}", path.key(key)))
        .collect()
}

fn volumes(spec: &Value, path: &Path) -> Vec<String> {
    // Member, the name in the text, and since when.
    const OLD: [(&str, &str, &str); 6] = [
        (
            "photonPersistentDisk",
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        ("gitRepo", "gitRepo", "deprecated in v1.11"),
        (
            "scaleIO",
            "scaleIO",
            "deprecated in v1.16, non-functional in v1.22+",
        ),
        (
            "flocker",
            "flocker",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "storageos",
            "storageOS",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "quobyte",
            "quobyte",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
    ];
    const OLD_TOO: [(&str, &str); 3] = [
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ];
    let mut warnings = Vec::new();
    for (i, volume) in list(spec, "/volumes").iter().enumerate() {
        let at = path.index(i);
        let set = OLD
            .iter()
            .filter(|(member, ..)| present(volume, &format!("/{member}")));
        warnings.extend(set.map(|(_, name, words)| format!("{}: {words}", at.child(name))));
        let set = OLD_TOO
            .iter()
            .filter(|(member, _)| present(volume, &format!("/{member}")));
        warnings.extend(set.map(|(name, words)| format!("{}: {words}", at.child(name))));
        let claim = &volume["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"];
        let at = at.child("ephemeral.volumeClaimTemplate.spec.resources");
        for member in ["requests", "limits"] {
            warnings.extend(fraction(&claim[member], "storage", &at.child(member)));
        }
    }
    warnings
}

fn duplicates(spec: &Value, member: &str, key: &str, path: &Path) -> Vec<String> {
    let all = list(spec, &format!("/{member}"));
    let read = |item: &Value| item[key].as_str().unwrap_or_default().to_owned();
    let mut warnings = Vec::new();
    for (i, item) in all.iter().enumerate() {
        let value = read(item);
        if all[..i].iter().any(|other| read(other) == value) {
            let at = path.child(member).index(i).child(key);
            warnings.push(format!("{at}: duplicate {key} {}", shown(&value.into())));
        }
    }
    warnings
}

/// Bytes come whole.
fn fractions(resources: &Value, path: &Path) -> Vec<String> {
    let names = ["memory", "ephemeral-storage"].into_iter();
    names
        .filter_map(|name| fraction(resources, name, path))
        .collect()
}

fn fraction(resources: &Value, name: &str, path: &Path) -> Option<String> {
    let amount = resources[name].as_str()?;
    let quantity = Quantity::parse(amount).ok()?;
    let whole = quantity.nano() % 1_000_000_000 == 0;
    let words = format!("fractional byte value \"{amount}\" is invalid, must be an integer");
    (!whole).then(|| format!("{}: {words}", path.key(name)))
}

fn seccomp_annotation(meta: &Value, owner: &Value, key: &str, path: &Path) -> Option<String> {
    let said = !meta["annotations"][key].is_null();
    let has_field = present(owner, "/securityContext/seccompProfile");
    let words = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
    (said && !has_field).then(|| format!("{}: {words}", path.key(key)))
}

fn of_container(meta: &Value, container: &Value, annotations: &Path, path: &Path) -> Vec<String> {
    let name = text(container, "/name");
    let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
    let mut warnings: Vec<String> = seccomp_annotation(meta, container, &key, annotations)
        .into_iter()
        .collect();
    let at = path.child("resources");
    for resource in ["memory", "ephemeral-storage"] {
        for member in ["limits", "requests"] {
            let amounts = &container["resources"][member];
            warnings.extend(fraction(amounts, resource, &at.child(member)));
        }
    }
    warnings.extend(hidden_variables(container, &path.child("env")));
    warnings
}

/// A later variable of the same name hides the earlier one, unless it builds on it.
fn hidden_variables(container: &Value, path: &Path) -> Vec<String> {
    let all = list(container, "/env");
    let mut warnings = Vec::new();
    for (i, variable) in all.iter().enumerate() {
        let (name, value) = (text(variable, "/name"), text(variable, "/value"));
        let reference = format!("$({name})");
        let builds_on =
            variable["valueFrom"].is_null() && value != reference && value.contains(&reference);
        if !builds_on && all[..i].iter().any(|other| text(other, "/name") == name) {
            let words = "which may be dropped when using apply";
            let name = shown(&name.into());
            warnings.push(format!(
                "{}: hides previous definition of {name}, {words}",
                path.index(i)
            ));
        }
    }
    warnings
}

fn affinity(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for member in ["podAffinity", "podAntiAffinity"] {
        let (terms, at) = (&spec["affinity"][member], path.child(member));
        for (i, term) in list(terms, &format!("/{HARD}")).iter().enumerate() {
            if term["labelSelector"].is_null() {
                let at = at.child(HARD).index(i).child("labelSelector");
                warnings.push(format!("{at}: {NO_SELECTOR}"));
            }
        }
        for (i, term) in list(terms, &format!("/{SOFT}")).iter().enumerate() {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                let at = at
                    .child(SOFT)
                    .index(i)
                    .child("podAffinityTerm.labelSelector");
                warnings.push(format!("{at}: {NO_SELECTOR}"));
            }
        }
    }
    warnings
}

fn addresses(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (i, server) in list(spec, "/dnsConfig/nameservers").iter().enumerate() {
        let at = path.child("dnsConfig.nameservers").index(i);
        warnings.extend(ip::warnings_for_ip(
            &at,
            server.as_str().unwrap_or_default(),
        ));
    }
    for (i, alias) in list(spec, "/hostAliases").iter().enumerate() {
        let at = path.child("hostAliases").index(i).child("ip");
        warnings.extend(ip::warnings_for_ip(&at, text(alias, "/ip")));
    }
    warnings
}

/// The warnings of a written status: addresses in odd forms.
pub(super) fn of_status(pod: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for member in ["podIPs", "hostIPs"] {
        for (i, one) in list(pod, &format!("/status/{member}")).iter().enumerate() {
            let at = Path::new("status").child(member).index(i).child("ip");
            warnings.extend(ip::warnings_for_ip(&at, text(one, "/ip")));
        }
    }
    warnings
}
