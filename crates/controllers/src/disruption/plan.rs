//! What a budget's status should say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{failed, name};
use crate::owner::controller_of;
use crate::pods::is_ready;
use crate::recorder::Note;
use crate::selector;
use crate::share::resolve;
use crate::time::{left, whole};

/// A pod that was to be evicted counts again if it has not gone after so long.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);

const ALLOWED: &str = "DisruptionAllowed";

/// How many pods somebody wants.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) uid: String,
    pub(super) replicas: i32,
}

/// The result.
pub(super) struct Plan {
    pub(super) status: PodDisruptionBudgetStatus,
    pub(super) notes: Vec<Note>,
    /// When time alone may change something.
    pub(super) again: Option<Duration>,
}

/// Whether a budget is about a pod. One without a selector is about none.
pub(super) fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let wanted = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    wanted.is_some_and(|wanted| selector::matches(wanted, pod.metadata.labels.as_ref()))
}

/// Draws up the status from the pods that the budget is about.
pub(super) fn plan(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scale: impl Fn(&OwnerReference) -> Option<Scale>,
    now: Timestamp,
) -> Plan {
    let mut notes = Vec::new();
    if pods.is_empty() {
        notes.push(Note::normal("NoPods", "No matching pods found"));
    }
    let old = budget.status.clone().unwrap_or_default();
    let expected = match expected(budget, pods, scale, &mut notes) {
        Ok(expected) => expected,
        Err(why) => {
            notes.push(failed(&why));
            let status = without_disruptions(old, &why, now);
            return Plan {
                status,
                notes,
                again: Some(Duration::from_secs(5)),
            };
        }
    };
    let (disrupted, again) = disrupted(&old, pods, now);
    let healthy = pods.iter().filter(|pod| {
        let leaves = pod.metadata.deletion_timestamp.is_some() || disrupted.contains_key(name(pod));
        !leaves && is_ready(pod)
    });
    let healthy = number(healthy.count());
    let allowed = match healthy - expected.healthy {
        surplus if expected.pods > 0 => surplus.max(0),
        _ => 0,
    };
    let mut status = PodDisruptionBudgetStatus {
        current_healthy: Some(healthy),
        desired_healthy: Some(expected.healthy),
        expected_pods: Some(expected.pods),
        disruptions_allowed: Some(allowed),
        disrupted_pods: Some(disrupted).filter(|all| !all.is_empty()),
        observed_generation: budget.metadata.generation,
        conditions: old.conditions,
    };
    let (word, reason) = if allowed > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    set_allowed(&mut status, (word, reason, ""), now);
    Plan {
        status,
        notes,
        again,
    }
}

struct Expected {
    pods: i32,
    healthy: i32,
}

fn expected(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scale: impl Fn(&OwnerReference) -> Option<Scale>,
    notes: &mut Vec<Note>,
) -> Result<Expected, String> {
    let spec = budget.spec.clone().unwrap_or_default();
    match (spec.max_unavailable, spec.min_available) {
        (Some(maximum), _) => {
            let pods = wanted(budget, pods, scale, notes)?;
            let healthy = (pods - resolve(&maximum, pods, true)).max(0);
            Ok(Expected { pods, healthy })
        }
        (_, Some(IntOrString::Int(healthy))) => Ok(Expected {
            pods: number(pods.len()),
            healthy,
        }),
        (_, Some(minimum)) => {
            let pods = wanted(budget, pods, scale, notes)?;
            let healthy = resolve(&minimum, pods, true);
            Ok(Expected { pods, healthy })
        }
        (None, None) => Ok(Expected {
            pods: 0,
            healthy: 0,
        }),
    }
}

/// The pods that the controllers of these pods want together.
fn wanted(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scale: impl Fn(&OwnerReference) -> Option<Scale>,
    notes: &mut Vec<Note>,
) -> Result<i32, String> {
    let mut scales = BTreeMap::new();
    let mut unmanaged = false;
    for pod in pods {
        let Some(owner) = controller_of(&pod.metadata) else {
            unmanaged = true;
            continue;
        };
        let found =
            scale(owner).ok_or_else(|| format!("found no controllers for pod {:?}", name(pod)))?;
        scales.insert(found.uid, found.replicas);
    }
    if unmanaged {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let labels = selector.and_then(|selector| selector.match_labels.as_ref());
        let shown: Vec<_> = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}: {value},"))
            .collect();
        let selector = format!(
            "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}",
            shown.join("")
        );
        let text = format!(
            "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, \
             the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account \
             for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
        );
        notes.push(Note::warning("UnmanagedPods", text));
    }
    Ok(scales.into_values().sum())
}

/// Evicted pods that are still expected to go, and when the first of them no longer is.
fn disrupted(
    old: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let mut kept = BTreeMap::new();
    let mut again: Option<Duration> = None;
    let before = old.disrupted_pods.as_ref();
    for pod in pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
    {
        let Some(at) = before.and_then(|before| before.get(name(pod))) else {
            continue;
        };
        if let Some(left) = left(at, DELETION_TIMEOUT, now) {
            again = Some(again.map_or(left, |first| first.min(left)));
            kept.insert(name(pod).to_owned(), at.clone());
        }
    }
    (kept, again)
}

/// When the numbers cannot be told, nothing may go.
fn without_disruptions(
    mut status: PodDisruptionBudgetStatus,
    why: &str,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    status.disruptions_allowed = Some(0);
    set_allowed(&mut status, ("False", "SyncFailed", why), now);
    status
}

fn set_allowed(
    status: &mut PodDisruptionBudgetStatus,
    (word, reason, message): (&str, &str, &str),
    now: Timestamp,
) {
    let generation = status.observed_generation;
    let conditions = status.conditions.get_or_insert_default();
    let found = conditions
        .iter()
        .position(|condition| condition.type_ == ALLOWED);
    let since = found
        .map(|index| &conditions[index])
        .filter(|condition| condition.status == word)
        .map_or_else(
            || whole(now),
            |condition| condition.last_transition_time.clone(),
        );
    let condition = Condition {
        type_: ALLOWED.to_owned(),
        status: word.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since,
    };
    match found {
        Some(index) => conditions[index] = condition,
        None => conditions.push(condition),
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
