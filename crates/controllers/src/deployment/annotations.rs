//! What a Deployment and its ReplicaSets carry in annotations: revisions, and the size they were scaled for.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";

/// Not copied from a Deployment to its ReplicaSets.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
];

/// How long the list of earlier revisions may get, in characters.
const HISTORY_LIMIT: usize = 2000;

/// The revision of a ReplicaSet or Deployment; 0 where it has none.
pub(super) fn revision(meta: &ObjectMeta) -> i64 {
    number(meta, REVISION).unwrap_or(0)
}

/// An annotation that is a number.
pub(super) fn number(meta: &ObjectMeta, name: &str) -> Option<i64> {
    meta.annotations.as_ref()?.get(name)?.parse().ok()
}

/// Sets an annotation and says whether that changed anything.
pub(super) fn set(meta: &mut ObjectMeta, name: &str, value: String) -> bool {
    let all = meta.annotations.get_or_insert_with(BTreeMap::new);
    if all.get(name) == Some(&value) {
        return false;
    }
    all.insert(name.to_owned(), value);
    true
}

/// Copies the Deployment's annotations to a ReplicaSet; one that went from the Deployment stays.
pub(super) fn copy(from: &Deployment, to: &mut ReplicaSet) -> bool {
    let all = from.metadata.annotations.iter().flatten();
    let copied = all.filter(|(name, _)| !OWN.contains(&name.as_str()));
    let changes = copied.map(|(name, value)| set(&mut to.metadata, name, value.clone()));
    changes.fold(false, |any, change| any | change)
}

/// Makes a ReplicaSet this revision if it is an older one, and remembers the older one.
pub(super) fn raise(set_: &mut ReplicaSet, to: i64) -> bool {
    let meta = &mut set_.metadata;
    let old = number(meta, REVISION);
    if old.unwrap_or(0) >= to {
        return false;
    }
    set(meta, REVISION, to.to_string());
    if let Some(old) = old {
        let annotations = meta.annotations.as_ref();
        let history = annotations
            .and_then(|all| all.get(HISTORY))
            .cloned()
            .unwrap_or_default();
        set(meta, HISTORY, extended(&history, old));
    }
    true
}

fn extended(history: &str, revision: i64) -> String {
    if history.is_empty() {
        return revision.to_string();
    }
    let mut history = format!("{history},{revision}");
    while history.len() > HISTORY_LIMIT {
        match history.split_once(',') {
            Some((_, rest)) => history = rest.to_owned(),
            None => break,
        }
    }
    history
}

/// Writes down for how many replicas a ReplicaSet was scaled: a later scaling in the middle of a
/// roll-out shares the difference by these.
pub(super) fn set_sizes(set_: &mut ReplicaSet, desired: i32, maximum: i32) -> bool {
    let desired = set(&mut set_.metadata, DESIRED, desired.to_string());
    set(&mut set_.metadata, MAXIMUM, maximum.to_string()) | desired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_taken_up_again_is_remembered() {
        let mut replica_set = ReplicaSet::default();
        assert!(raise(&mut replica_set, 1));
        assert!(!raise(&mut replica_set, 1));
        assert!(raise(&mut replica_set, 3));
        assert!(raise(&mut replica_set, 5));
        let annotations = replica_set.metadata.annotations.unwrap();
        assert_eq!(annotations[REVISION], "5");
        assert_eq!(annotations[HISTORY], "1,3");
    }
}
