//! Tables for lost nodes, their taints and their pods.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::eviction::{Verdict, verdict};
use super::health::{Signs, falls, judge};
use super::taints;
use crate::config::NodeMonitor;

fn node(name: &str, ready: &str, spec: &Value) -> Arc<Node> {
    let node = json!({"metadata": {"name": name}, "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]}});
    Arc::new(serde_json::from_value(node).unwrap())
}

fn lease(renewed: &str) -> Lease {
    serde_json::from_value(json!({"metadata": {}, "spec": {"renewTime": renewed}})).unwrap()
}

#[test]
fn only_a_ready_node_or_one_that_is_seen_for_the_first_time_ceases_to_be_ready() {
    let [yes, no, unknown] = ["True", "False", "Unknown"].map(|ready| node("a", ready, &json!({})));
    let silent = Node::default();
    assert!(falls(Some(&yes), &unknown));
    assert!(falls(Some(&yes), &no));
    assert!(falls(None, &no));
    assert!(!falls(Some(&silent), &unknown));
    assert!(!falls(Some(&no), &unknown));
    assert!(!falls(Some(&no), &yes));
    assert!(!falls(None, &silent));
}

#[test]
fn a_node_is_lost_when_neither_lease_nor_status_changes() {
    let monitor = NodeMonitor {
        period: Duration::from_millis(500),
        grace: Duration::from_secs(4),
        startup_grace: Duration::from_secs(60),
    };
    let (node, start) = (node("a", "True", &json!({})), Instant::now());
    let mut signs = Signs::new(start);
    let at = |seconds: u64| (start + Duration::from_secs(seconds), Timestamp::UNIX_EPOCH);
    for second in 0..10 {
        let lease = lease(&format!("2026-01-01T00:00:{second:02}.000000Z"));
        signs.note(&node, Some(&lease), at(second).0);
        assert!(judge(&node, &signs, &monitor, at(second)).is_none());
    }
    let last = lease("2026-01-01T00:00:09.000000Z");
    signs.note(&node, Some(&last), at(13).0);
    assert!(judge(&node, &signs, &monitor, at(13)).is_none());
    let lost = judge(&node, &signs, &monitor, at(14)).expect("lost after four seconds");
    let texts: Vec<_> = lost
        .conditions
        .iter()
        .flatten()
        .map(|one| (one.status.as_str(), one.reason.as_deref().unwrap()))
        .collect();
    assert_eq!(texts[0], ("Unknown", "NodeStatusUnknown"));
    assert_eq!(texts[1], ("Unknown", "NodeStatusNeverUpdated"));
    let known = Node {
        status: Some(lost),
        ..(*node).clone()
    };
    assert!(
        judge(&known, &signs, &monitor, at(20)).is_none(),
        "it is known by now"
    );
}

#[test]
fn taints_follow_conditions() {
    let now = crate::time::now();
    let keys = |node: &Node, disrupted: bool| -> Option<Vec<String>> {
        let taints = taints::plan(node, disrupted, &now)?;
        Some(
            taints
                .iter()
                .map(|taint| format!("{}:{}", taint.key, taint.effect))
                .collect(),
        )
    };
    let none = json!({});
    let tainted = json!({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, {"key": "mine", "effect": "NoSchedule"}]});
    let cordoned = json!({"unschedulable": true});
    let cases: &[(&str, &Value, bool, Option<&[&str]>)] = &[
        ("True", &none, false, None),
        ("True", &tainted, false, Some(&["mine:NoSchedule"])),
        (
            "False",
            &none,
            false,
            Some(&[
                "node.kubernetes.io/not-ready:NoSchedule",
                "node.kubernetes.io/not-ready:NoExecute",
            ]),
        ),
        (
            "False",
            &none,
            true,
            Some(&["node.kubernetes.io/not-ready:NoSchedule"]),
        ),
        (
            "Unknown",
            &none,
            false,
            Some(&[
                "node.kubernetes.io/unreachable:NoSchedule",
                "node.kubernetes.io/unreachable:NoExecute",
            ]),
        ),
        (
            "True",
            &cordoned,
            false,
            Some(&["node.kubernetes.io/unschedulable:NoSchedule"]),
        ),
    ];
    for (ready, spec, disrupted, expected) in cases {
        let expected =
            expected.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            keys(&node("a", ready, spec), *disrupted),
            expected,
            "{ready} {spec} {disrupted}"
        );
    }
}

#[test]
fn nothing_is_evicted_while_everything_is_lost() {
    let nodes = |states: &str| -> Vec<Arc<Node>> {
        let states = states.chars().enumerate();
        states
            .map(|(n, state)| {
                node(
                    &n.to_string(),
                    if state == '+' { "True" } else { "Unknown" },
                    &json!({}),
                )
            })
            .collect()
    };
    for (states, expected) in [
        ("+++", false),
        ("++-", false),
        ("+--", false),
        ("---", true),
        ("+---", true),
        ("-", true),
    ] {
        let nodes = nodes(states);
        assert_eq!(
            taints::disrupted_zone(&nodes[0], &nodes),
            expected,
            "{states}"
        );
    }
}

#[test]
fn pods_leave_when_their_toleration_is_over() {
    let taint: Taint = serde_json::from_value(json!({"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"})).unwrap();
    let pod = |tolerations: Value| -> Pod {
        serde_json::from_value(
            json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}}),
        )
        .unwrap()
    };
    let tolerates = |seconds: Option<i64>| json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let cases = [
        (json!([]), Verdict::Goes),
        (tolerates(None), Verdict::Stays),
        (
            tolerates(Some(300)),
            Verdict::GoesIn(Duration::from_secs(240)),
        ),
        (tolerates(Some(60)), Verdict::Goes),
    ];
    for (tolerations, expected) in cases {
        assert_eq!(
            verdict(&pod(tolerations.clone()), std::slice::from_ref(&taint), now),
            expected,
            "{tolerations}"
        );
    }
    assert_eq!(verdict(&pod(json!([])), &[], now), Verdict::Stays);
}
