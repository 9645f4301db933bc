//! A Deployment's status: counters from its ReplicaSets, and what its conditions say about progress.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};

use crate::deployment::size::{self, available, max_unavailable, wanted};
use crate::time::{left, since, whole};

pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";

const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// Deadlines are kept to the second, and a look just before one would find nothing.
const SLACK: Duration = Duration::from_millis(1100);

/// A condition as of `now`.
pub(super) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(whole(now)),
        last_transition_time: Some(whole(now)),
    }
}

/// Finds a condition.
pub(super) fn find<'a>(
    status: &'a DeploymentStatus,
    kind: &str,
) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == kind)
}

/// Sets a condition unless status and reason are what they were; the transition time is that of the status.
pub(super) fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(old) = find(status, &condition.type_) {
        if old.status == condition.status && old.reason == condition.reason {
            return;
        }
        if old.status == condition.status {
            condition
                .last_transition_time
                .clone_from(&old.last_transition_time);
        }
    }
    remove(status, &condition.type_);
    status.conditions.get_or_insert_default().push(condition);
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    let mut conditions = status.conditions.take().unwrap_or_default();
    conditions.retain(|condition| condition.type_ != kind);
    status.conditions = Some(conditions).filter(|left| !left.is_empty());
}

/// The seconds after which a lack of progress counts as failure, if there is such a limit.
pub(super) fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.as_ref()?.progress_deadline_seconds?;
    let limited = seconds != i32::MAX;
    limited.then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The counters, and whether enough pods are available; the conditions of before otherwise.
pub(super) fn counted(
    deployment: &Deployment,
    sets: &[&ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let sum = |f: &dyn Fn(&ReplicaSet) -> i32| sets.iter().map(|set| f(set)).sum::<i32>();
    let ready = |set: &ReplicaSet| {
        set.status
            .as_ref()
            .and_then(|status| status.ready_replicas)
            .unwrap_or(0)
    };
    let available_now = sum(&available);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(sum(&size::actual)),
        updated_replicas: some(new.map_or(0, size::actual)),
        ready_replicas: some(sum(&ready)),
        available_replicas: some(available_now),
        unavailable_replicas: some((sum(&size::of) - available_now).max(0)),
        terminating_replicas: terminating(sets),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let enough = available_now >= wanted(deployment) - max_unavailable(deployment);
    let (value, reason, message) = if enough {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set(
        &mut status,
        condition(AVAILABLE, value, reason, message.to_owned(), now),
    );
    status
}

/// Unknown as long as one ReplicaSet does not say; one that nobody has looked at yet has none.
fn terminating(sets: &[&ReplicaSet]) -> Option<i32> {
    let each = sets.iter().map(|set| {
        let status = set.status.as_ref();
        let is_new = status
            .and_then(|status| status.observed_generation)
            .is_none();
        let said = status.and_then(|status| status.terminating_replicas);
        said.or(is_new.then_some(0))
    });
    each.sum()
}

/// Zero is left out, as the server does.
fn some(count: i32) -> Option<i32> {
    Some(count).filter(|count| *count != 0)
}

/// The counters, and what they say about the roll-out.
pub(super) fn of_rollout(
    deployment: &Deployment,
    sets: &[&ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = counted(deployment, sets, new, now);
    if deadline(deployment).is_none() {
        remove(&mut status, PROGRESSING);
    } else if !was_complete(&status) {
        judge(&mut status, deployment, new, now);
    }
    let failing = |set: &ReplicaSet| failure(set);
    match new
        .and_then(failing)
        .or_else(|| sets.iter().find_map(|set| failure(set)))
    {
        Some(failure) => set(&mut status, failure),
        None => remove(&mut status, FAILURE),
    }
    status
}

/// Complete before and still of one ReplicaSet: then this is no roll-out, and there is no progress to judge.
fn was_complete(status: &DeploymentStatus) -> bool {
    let said = find(status, PROGRESSING).and_then(|condition| condition.reason.as_deref());
    status.replicas == status.updated_replicas && said == Some(NEW_SET_AVAILABLE)
}

fn judge(
    status: &mut DeploymentStatus,
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    now: Timestamp,
) {
    let subject = match new.and_then(|set| set.metadata.name.as_deref()) {
        Some(set) => format!("ReplicaSet {set:?}"),
        None => format!(
            "Deployment {:?}",
            deployment.metadata.name.as_deref().unwrap_or_default()
        ),
    };
    let says = |value, reason, text: &str| {
        condition(PROGRESSING, value, reason, format!("{subject} {text}"), now)
    };
    if complete(deployment, status) {
        set(
            status,
            says("True", NEW_SET_AVAILABLE, "has successfully progressed."),
        );
    } else if progresses(deployment, status) {
        let mut moves = says("True", "ReplicaSetUpdated", "is progressing.");
        // Unlike other conditions this one takes a new update time for the same reason: the deadline runs from it.
        if let Some(old) = find(status, PROGRESSING) {
            if old.status == "True" {
                moves
                    .last_transition_time
                    .clone_from(&old.last_transition_time);
            }
            remove(status, PROGRESSING);
        }
        set(status, moves);
    } else if timed_out(deployment, status, now) {
        set(
            status,
            says("False", TIMED_OUT, "has timed out progressing."),
        );
    }
}

/// Whether all pods are of the newest template and available.
pub(super) fn complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let all = Some(wanted(deployment)).filter(|count| *count != 0);
    status.updated_replicas == all
        && status.replicas == all
        && status.available_replicas == all
        && status.observed_generation >= deployment.metadata.generation
}

fn progresses(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let old = deployment.status.clone().unwrap_or_default();
    let old_pods = |status: &DeploymentStatus| {
        status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0)
    };
    status.updated_replicas > old.updated_replicas
        || old_pods(status) < old_pods(&old)
        || status.ready_replicas > old.ready_replicas
        || status.available_replicas > old.available_replicas
}

fn timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(condition) = find(status, PROGRESSING) else {
        return false;
    };
    match (
        condition.reason.as_deref(),
        deadline(deployment),
        &condition.last_update_time,
    ) {
        (Some(NEW_SET_AVAILABLE), ..) => false,
        (Some(TIMED_OUT), ..) => true,
        (_, Some(deadline), Some(updated)) => since(updated, now) > deadline,
        _ => false,
    }
}

/// When to look again for a passed deadline.
pub(super) fn next_look(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let condition = find(status, PROGRESSING)?;
    if complete(deployment, status) || condition.reason.as_deref() == Some(TIMED_OUT) {
        return None;
    }
    let deadline = deadline(deployment)?;
    Some(left(condition.last_update_time.as_ref()?, deadline, now).unwrap_or_default() + SLACK)
}

fn failure(set: &ReplicaSet) -> Option<DeploymentCondition> {
    let conditions = set
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let found = conditions
        .into_iter()
        .find(|condition| condition.type_ == FAILURE)?;
    Some(DeploymentCondition {
        type_: FAILURE.to_owned(),
        status: found.status.clone(),
        reason: found.reason.clone(),
        message: found.message.clone(),
        last_transition_time: found.last_transition_time.clone(),
        last_update_time: found.last_transition_time.clone(),
    })
}
