//! A ReplicaSet's counters and its one condition.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};

use crate::pods::{Availability, availability, is_ready};
use crate::replica_set::Failure;
use crate::replica_set::plan::Plan;
use crate::selector::contains;
use crate::time::whole;

const FAILURE: &str = "ReplicaFailure";

/// The counters as of `now`, and when they may change by time alone.
pub(super) fn status(
    set: &ReplicaSet,
    plan: &Plan,
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.clone().unwrap_or_default();
    let template = spec
        .template
        .unwrap_or_default()
        .metadata
        .unwrap_or_default();
    let labels = template.labels.unwrap_or_default();
    let labelled = plan
        .active
        .iter()
        .filter(|pod| contains(pod.metadata.labels.as_ref(), &labels));
    let ready = plan.active.iter().filter(|pod| is_ready(pod));
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let states: Vec<_> = plan
        .active
        .iter()
        .map(|pod| availability(pod, min_ready, now))
        .collect();
    let available = states
        .iter()
        .filter(|state| **state == Availability::Yes)
        .count();
    let again = states.iter().filter_map(|state| match state {
        Availability::In(left) => Some(*left),
        _ => None,
    });
    let old = set.status.clone().unwrap_or_default();
    let status = ReplicaSetStatus {
        replicas: number(plan.active.len()),
        fully_labeled_replicas: some(labelled.count()),
        ready_replicas: some(ready.count()),
        available_replicas: some(available),
        terminating_replicas: Some(number(plan.terminating)),
        observed_generation: set.metadata.generation.or(old.observed_generation),
        conditions: old.conditions,
    };
    (status, again.min())
}

/// The same with the ReplicaFailure condition set or taken away. One that stands keeps its text, as upstream.
pub(super) fn with_failure(
    mut status: ReplicaSetStatus,
    failure: Option<&Failure>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let mut conditions = status.conditions.take().unwrap_or_default();
    let stands = conditions
        .iter()
        .any(|condition| condition.type_ == FAILURE);
    match failure.and_then(|failure| Some((failure.reason?, failure))) {
        Some((reason, failure)) if !stands => conditions.push(ReplicaSetCondition {
            type_: FAILURE.to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(failure.problem.message()),
            last_transition_time: Some(whole(now)),
        }),
        Some(_) => {}
        None if failure.is_some() => {}
        None => conditions.retain(|condition| condition.type_ != FAILURE),
    }
    status.conditions = Some(conditions).filter(|all| !all.is_empty());
    status
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Zero is left out, as the server does.
fn some(count: usize) -> Option<i32> {
    Some(number(count)).filter(|count| *count > 0)
}
