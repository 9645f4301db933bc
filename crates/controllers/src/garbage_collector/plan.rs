//! What is to be done about one object (`attemptToDeleteItem` and its like in
//! `pkg/controller/garbagecollector/garbagecollector.go`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PropagationPolicy;

use crate::garbage_collector::graph::Node;
use crate::garbage_collector::waits;

/// The finalizer of an object whose dependents are to stay.
pub(super) const ORPHAN: &str = "orphan";
/// The finalizer of an object that goes after its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// How an owner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Stays,
    /// It is being deleted and waits for its dependents.
    Waits,
    Gone,
}

impl Owner {
    pub(super) fn of(node: &Node) -> Self {
        if waits(node) {
            Self::Waits
        } else {
            Self::Stays
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step {
    Nothing,
    /// Look at these.
    Look(Vec<String>),
    Delete(PropagationPolicy),
    /// Take these owners off.
    Disown(Vec<String>),
    /// Take this finalizer off.
    Unfinalize(&'static str),
    /// Take the object off its dependents as an owner, then the finalizer off the object.
    Orphan,
}

/// Decides about an object from how its owners stand and from its dependents.
pub(super) fn plan(node: &Node, owners: &[(OwnerReference, Owner)], dependents: &[Node]) -> Step {
    if node.deleting {
        return while_deleting(node, dependents);
    }
    let with = |standing| owners.iter().filter(move |(_, owner)| *owner == standing);
    let uids = |list: Vec<&(OwnerReference, Owner)>| {
        list.into_iter()
            .map(|(owner, _)| owner.uid.clone())
            .collect()
    };
    let leaving: Vec<_> = owners
        .iter()
        .filter(|(_, owner)| *owner != Owner::Stays)
        .collect();
    if leaving.is_empty() {
        return Step::Nothing;
    }
    if with(Owner::Stays).next().is_some() {
        return Step::Disown(uids(leaving));
    }
    // An owner waits for this object, so this one too goes after its dependents.
    if with(Owner::Waits).next().is_some() && !dependents.is_empty() {
        return Step::Delete(PropagationPolicy::Foreground);
    }
    let has = |finalizer: &str| node.finalizers.iter().any(|name| name == finalizer);
    if has(ORPHAN) {
        Step::Delete(PropagationPolicy::Orphan)
    } else if has(FOREGROUND) {
        Step::Delete(PropagationPolicy::Foreground)
    } else {
        Step::Delete(PropagationPolicy::Background)
    }
}

fn while_deleting(node: &Node, dependents: &[Node]) -> Step {
    let has = |finalizer: &str| node.finalizers.iter().any(|name| name == finalizer);
    if has(ORPHAN) {
        return Step::Orphan;
    }
    if !has(FOREGROUND) {
        return Step::Nothing;
    }
    if !dependents
        .iter()
        .any(|dependent| dependent.blocks(&node.uid))
    {
        return Step::Unfinalize(FOREGROUND);
    }
    let left = dependents.iter().filter(|dependent| !dependent.deleting);
    Step::Look(left.map(|dependent| dependent.uid.clone()).collect())
}
