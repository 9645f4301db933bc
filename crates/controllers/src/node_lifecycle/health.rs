//! When a node counts as lost: no sign of life, as seen from here and by this process' own clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use tokio::time::Instant;

use crate::config::NodeMonitor;
use crate::time::whole;

/// The conditions that nobody knows about when the node is lost.
const UNKNOWN: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The last signs of life, and when they were seen to change.
#[derive(Debug)]
pub(super) struct Signs {
    heartbeat: Option<Time>,
    renewal: Option<MicroTime>,
    changed: Instant,
}

impl Signs {
    /// Nothing seen yet; a node has its whole grace from now on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heartbeat: None,
            renewal: None,
            changed: now,
        }
    }

    /// Takes in the node's status and lease. Times are only compared with what they were: clocks may differ.
    pub(super) fn note(&mut self, node: &Node, lease: Option<&Lease>, now: Instant) {
        let heartbeat = ready(node).and_then(|ready| ready.last_heartbeat_time.clone());
        let renewal = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone());
        if heartbeat != self.heartbeat || renewal.is_some() && renewal != self.renewal {
            self.changed = now;
        }
        self.heartbeat = heartbeat;
        self.renewal = renewal.or(self.renewal.take());
    }
}

/// The status of a node that has just been lost; `None` for one that lives or is known to be lost.
pub(super) fn judge(
    node: &Node,
    signs: &Signs,
    monitor: &NodeMonitor,
    (now, time): (Instant, Timestamp),
) -> Option<NodeStatus> {
    let grace: Duration = if ready(node).is_some() {
        monitor.grace
    } else {
        monitor.startup_grace
    };
    if now.duration_since(signs.changed) <= grace {
        return None;
    }
    let mut status = node.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    for kind in UNKNOWN {
        let at = whole(time);
        match conditions
            .iter_mut()
            .find(|condition| condition.type_ == kind)
        {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                "Unknown".clone_into(&mut condition.status);
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(at);
            }
            None => conditions.push(NodeCondition {
                type_: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(at),
            }),
        }
    }
    (Some(&status) != node.status.as_ref()).then_some(status)
}

/// Whether a node has just ceased to be ready, or was not when it was first seen. One that never said that it is
/// ready cannot cease to be (upstream: `monitorNodeHealth`).
pub(super) fn falls(old: Option<&Node>, new: &Node) -> bool {
    is_down(new) && old.is_none_or(|old| readiness(old) == Some("True"))
}

/// Whether a node said that it is not ready, or is lost.
pub(super) fn is_down(node: &Node) -> bool {
    readiness(node).is_some_and(|ready| ready != "True")
}

/// The status of the node's Ready condition.
pub(super) fn readiness(node: &Node) -> Option<&str> {
    ready(node).map(|ready| ready.status.as_str())
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
}
