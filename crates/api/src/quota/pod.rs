//! What a pod uses of a quota (`pkg/quota/v1/evaluator/core/pods.go`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Span, Timestamp};
use serde_json::Value;

use super::Amounts;
use crate::pod::class;
use crate::schema::quantity::Quantity;
use crate::validation::json::{list, present, text, texts};

/// Resources of containers that a quota knows by their own name, too.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// A quota on these demands that every container says how much it wants. (Upstream regrets it.)
const DEMANDED: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

/// Whether a name in a quota is about pods.
pub(super) fn tracks(name: &str) -> bool {
    let of_compute = |name: &str| COMPUTE.contains(&name);
    let requested = name.strip_prefix("requests.");
    match (requested, name.strip_prefix("limits.")) {
        (Some(name), _) => of_compute(name) || name.starts_with("hugepages-") || is_extended(name),
        (_, Some(name)) => of_compute(name),
        _ => of_compute(name) || name == "pods" || name.starts_with("hugepages-"),
    }
}

/// A resource that Kubernetes itself does not know: it has a domain, and not `kubernetes.io`.
fn is_extended(name: &str) -> bool {
    let foreign = name.contains('/') && !name.contains("kubernetes.io/");
    foreign || name.starts_with("deviceclass.resource.kubernetes.io/")
}

/// Whether the pod is to end by itself.
pub(super) fn has_deadline(pod: &Value) -> bool {
    pod.pointer("/spec/activeDeadlineSeconds")
        .and_then(Value::as_i64)
        .is_some_and(|seconds| seconds >= 0)
}

/// Whether the pod is within a scope, given as a selector's requirement.
pub(super) fn is_in_scope(pod: &Value, scope: &Value) -> bool {
    let best_effort = || class(&pod["spec"]) == "BestEffort";
    match text(scope, "/scopeName") {
        "Terminating" => has_deadline(pod),
        "NotTerminating" => !has_deadline(pod),
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => has_class(pod, scope),
        "CrossNamespacePodAffinity" => reaches_out(pod),
        _ => false,
    }
}

fn has_class(pod: &Value, scope: &Value) -> bool {
    let class = text(pod, "/spec/priorityClassName");
    let listed = texts(scope, "/values").contains(&class);
    match text(scope, "/operator") {
        "Exists" => !class.is_empty(),
        "DoesNotExist" => class.is_empty(),
        "In" => !class.is_empty() && listed,
        _ => class.is_empty() || !listed,
    }
}

/// Whether an affinity looks at pods of other namespaces.
fn reaches_out(pod: &Value) -> bool {
    let of_term =
        |term: &Value| !list(term, "/namespaces").is_empty() || present(term, "/namespaceSelector");
    let of_kind = |kind: &str| {
        let affinity = &pod["spec"]["affinity"][kind];
        let required = list(affinity, "/requiredDuringSchedulingIgnoredDuringExecution");
        let preferred = list(affinity, "/preferredDuringSchedulingIgnoredDuringExecution");
        let weighted = preferred.iter().map(|one| &one["podAffinityTerm"]);
        required.iter().chain(weighted).any(of_term)
    };
    of_kind("podAffinity") || of_kind("podAntiAffinity")
}

/// Whether the containers say all that a quota on these names demands of them.
pub(super) fn constraints(pod: &Value, restricted: &[&str]) -> Result<(), String> {
    if present(&pod["spec"], "/resources") {
        return Ok(());
    }
    let demanded = DEMANDED.iter().filter(|name| restricted.contains(name));
    let mut missing = BTreeMap::<&str, BTreeSet<&str>>::new();
    for name in demanded {
        for container in containers(pod) {
            let (kind, resource) = name.split_once('.').unwrap_or(("requests", name));
            if container["resources"][kind][resource].is_null() {
                let without = missing.entry(name).or_default();
                without.insert(text(container, "/name"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let words = missing.into_iter().map(|(name, without)| {
        let without: Vec<_> = without.into_iter().collect();
        format!("{name} for: {}", without.join(","))
    });
    let words: Vec<_> = words.collect();
    Err(format!("must specify {}", words.join("; ")))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let own = list(pod, "/spec/containers").iter();
    own.chain(list(pod, "/spec/initContainers"))
}

/// Adds what a pod uses: nothing but its count once it has ended or should be gone.
pub(super) fn usage(pod: &Value, now: Timestamp, amounts: &mut Amounts) {
    if matches!(text(pod, "/status/phase"), "Failed" | "Succeeded") || should_be_gone(pod, now) {
        return;
    }
    amounts.add("pods", Quantity::whole(1));
    for (name, amount) in requested(pod, "requests") {
        if COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-") {
            amounts.add(&name, amount);
            amounts.add(&format!("requests.{name}"), amount);
        } else if is_extended(&name) {
            amounts.add(&format!("requests.{name}"), amount);
        }
    }
    for (name, amount) in requested(pod, "limits") {
        if COMPUTE.contains(&name.as_str()) {
            amounts.add(&format!("limits.{name}"), amount);
        }
    }
}

fn should_be_gone(pod: &Value, now: Timestamp) -> bool {
    let deleted: Option<Timestamp> = text(pod, "/metadata/deletionTimestamp").parse().ok();
    let grace = pod
        .pointer("/metadata/deletionGracePeriodSeconds")
        .and_then(Value::as_i64);
    match (deleted, grace) {
        (Some(deleted), Some(grace)) => deleted
            .checked_add(Span::new().seconds(grace.clamp(0, i64::from(u32::MAX))))
            .is_ok_and(|end| now > end),
        _ => false,
    }
}

/// The requests or limits of the pod as a whole (`component-helpers/resource`): the sum of those that run
/// together, at least what each init container wants in its turn; what the pod says itself goes before.
fn requested(pod: &Value, which: &str) -> Vec<(String, Quantity)> {
    let of = |container: &Value| Amounts::of(&container["resources"][which]);
    let mut together = Amounts::default();
    for container in list(pod, "/spec/containers") {
        together = together.plus(&of(container));
    }
    let (mut sidecars, mut first) = (Amounts::default(), Amounts::default());
    for container in list(pod, "/spec/initContainers") {
        let wanted = if text(container, "/restartPolicy") == "Always" {
            together = together.plus(&of(container));
            sidecars = sidecars.plus(&of(container));
            sidecars.clone()
        } else {
            of(container).plus(&sidecars)
        };
        first = first.maximum(&wanted);
    }
    let mut all = together.maximum(&first);
    all.replace(of(&pod["spec"]));
    let overhead = Amounts::of(&pod["spec"]["overhead"]);
    let overhead = if which == "limits" {
        overhead.masked(&all.nonzero())
    } else {
        overhead
    };
    let all = all.plus(&overhead);
    let named = all
        .names()
        .filter_map(|name| Some((name.to_owned(), *all.get(name)?)));
    named.collect()
}
