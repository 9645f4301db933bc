//! What has to change for a ReplicaSet to have the pods it asks for.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::owner::{Claim, claim, controller_reference};
use crate::pods::{is_active, is_terminal};
use crate::replica_set::{rank, selected};

/// At most so many pods are made or deleted at once; the rest follows with the next look.
const BURST: usize = 500;

/// The changes, and what they were drawn from.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) adopt: Vec<Arc<Pod>>,
    pub(super) release: Vec<Arc<Pod>>,
    pub(super) create: usize,
    pub(super) delete: Vec<Arc<Pod>>,
    /// The pods that count: neither ended nor deleted; adopted ones among them.
    pub(super) active: Vec<Arc<Pod>>,
    /// Its pods that are deleted but have not ended.
    pub(super) terminating: usize,
}

/// Draws up the plan from pods that are its own or nobody's, and from the pods of its relatives.
pub(super) fn plan(set: &ReplicaSet, candidates: &[Arc<Pod>], relatives: &[Arc<Pod>]) -> Plan {
    let mut plan = Plan::default();
    for pod in candidates {
        plan.take(set, pod);
    }
    if set.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let wanted = set
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or(0);
    plan.create = wanted.saturating_sub(plan.active.len()).min(BURST);
    let surplus = plan.active.len().saturating_sub(wanted).min(BURST);
    if surplus > 0 {
        plan.delete = rank::first_to_go(&plan.active, relatives, Timestamp::now());
        plan.delete.truncate(surplus);
    }
    plan
}

impl Plan {
    fn take(&mut self, set: &ReplicaSet, pod: &Arc<Pod>) {
        let claimed = claim(&set.metadata, &pod.metadata, selects(set, &pod.metadata));
        if !is_active(pod) {
            let terminates = claimed == Claim::Keep && !is_terminal(pod);
            self.terminating += usize::from(terminates);
            return;
        }
        match claimed {
            Claim::Keep => self.active.push(Arc::clone(pod)),
            Claim::Adopt => {
                self.adopt.push(Arc::clone(pod));
                self.active.push(Arc::clone(pod));
            }
            Claim::Release => self.release.push(Arc::clone(pod)),
            Claim::Ignore => {}
        }
    }
}

/// Whether the ReplicaSet selects an object by its labels.
pub(super) fn selects(set: &ReplicaSet, object: &ObjectMeta) -> bool {
    selected(set, object.labels.as_ref())
}

/// A pod after the ReplicaSet's template.
pub(super) fn pod(set: &ReplicaSet) -> Pod {
    let template = set
        .spec
        .as_ref()
        .and_then(|spec| spec.template.clone())
        .unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: set.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controller_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// Whether a pod is this set's by reference.
#[cfg(test)]
pub(super) fn owns(set: &ReplicaSet, pod: &Pod) -> bool {
    crate::owner::controller_of(&pod.metadata).map(|owner| &owner.uid) == set.metadata.uid.as_ref()
}
