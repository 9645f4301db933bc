//! A Deployment's numbers: how many pods it wants, and how far a roll-out may stray from that.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::share::resolve;

/// The replicas asked for.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

/// Whether it rolls (the other way is Recreate).
pub(super) fn rolls(deployment: &Deployment) -> bool {
    let strategy = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.strategy.as_ref());
    strategy.is_none_or(|strategy| strategy.type_.as_deref() != Some("Recreate"))
}

/// How many pods a roll-out may have on top.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    if rolls(deployment) {
        bounds(deployment).0
    } else {
        0
    }
}

/// How many pods may be missing during a roll-out.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if !rolls(deployment) {
        return 0;
    }
    bounds(deployment).1.min(wanted(deployment))
}

/// Surge rounds up, unavailable rounds down; both zero would never move, so then one may be missing.
fn bounds(deployment: &Deployment) -> (i32, i32) {
    let strategy = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.strategy.as_ref());
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let default = IntOrString::String("25%".to_owned());
    let surge = rolling
        .and_then(|rolling| rolling.max_surge.as_ref())
        .unwrap_or(&default);
    let unavailable = rolling
        .and_then(|rolling| rolling.max_unavailable.as_ref())
        .unwrap_or(&default);
    let replicas = wanted(deployment);
    let (surge, unavailable) = (
        resolve(surge, replicas, true),
        resolve(unavailable, replicas, false),
    );
    if surge == 0 && unavailable == 0 {
        (0, 1)
    } else {
        (surge, unavailable)
    }
}

/// The replicas that a ReplicaSet is to have.
pub(super) fn of(set: &ReplicaSet) -> i32 {
    set.spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

/// The replicas that it has.
pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

/// How many available pods can be counted on: after a ReplicaSet was made smaller its status still counts
/// pods that are about to go.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    let status = set.status.as_ref();
    let counted = status.and_then(|status| status.available_replicas);
    counted.unwrap_or(0).min(of(set))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_round_in_favour_of_moving() {
        let cases = [
            (10, json!("25%"), json!("25%"), (3, 2)),
            (1, json!("25%"), json!("25%"), (1, 0)),
            (4, json!(1), json!(1), (1, 1)),
            (3, json!("0%"), json!("10%"), (0, 1)),
            (2, json!(0), json!(5), (0, 2)),
            (0, json!("25%"), json!("25%"), (0, 0)),
        ];
        for (replicas, surge, unavailable, expected) in cases {
            let deployment: Deployment = serde_json::from_value(json!({"metadata": {}, "spec": {
                "replicas": replicas, "selector": {}, "template": {},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}}))
            .unwrap();
            let found = (max_surge(&deployment), max_unavailable(&deployment));
            assert_eq!(found, expected, "{replicas} {surge} {unavailable}");
        }
    }
}
