//! Statuses from objects and observations.

use jiff::Timestamp;
use pod::protocol::{ContainerState as State, Phase};
use serde_json::{Value, json};

use super::*;
use crate::pod::observed::{Hindrance, Sandbox};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn pod(policy: &str, readiness_gates: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 2},
        "spec": {
            "restartPolicy": policy,
            "containers": [{"name": "main", "image": "fairway/echo"}],
            "readinessGates": readiness_gates,
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "1970-01-01T00:00:01Z"},
            {"type": "Ready", "status": "False", "lastTransitionTime": "1970-01-01T00:00:02Z"},
        ]},
    }))
    .unwrap()
}

fn observed(observation: Observation) -> Observed {
    Observed {
        sandbox: Some(Sandbox {
            since: at(5),
            addresses: vec!["10.244.1.2".parse().unwrap(), "fd00::2".parse().unwrap()],
        }),
        start_time: Some(at(3)),
        containers: [("main".to_owned(), observation)].into(),
        ..Observed::default()
    }
}

fn state(attempt: u32, phase: Phase) -> State {
    State {
        name: "main".into(),
        attempt,
        pid: None,
        phase,
    }
}

fn exited(attempt: u32, exit_code: i32) -> State {
    let phase = Phase::Exited {
        started_at: at(10),
        finished_at: at(95),
        exit_code,
        signal: None,
        out_of_memory: false,
    };
    state(attempt, phase)
}

fn running_now(ready: bool) -> Observation {
    Observation {
        state: Some(state(0, Phase::Running { started_at: at(10) })),
        started: true,
        ready,
        ..Observation::default()
    }
}

fn report(pod: &Pod, observed: &Observed) -> PodStatus {
    status(pod, observed, &["198.18.0.2".parse().unwrap()], at(100))
}

/// Phase, the node's own conditions, the state of the container and the one before.
fn summary(pod: &Pod, observed: &Observed) -> String {
    let status = report(pod, observed);
    let conditions: Vec<String> = status
        .conditions
        .iter()
        .flatten()
        .take(4)
        .map(condition)
        .collect();
    let containers = status.container_statuses.unwrap();
    let state = state_text(containers[0].state.as_ref().unwrap());
    let last = containers[0]
        .last_state
        .as_ref()
        .map(state_text)
        .unwrap_or_default();
    let text = format!(
        "{} {} {state} {last}",
        status.phase.unwrap(),
        conditions.join(" ")
    );
    text.trim().to_owned()
}

fn condition(condition: &k8s_openapi::api::core::v1::PodCondition) -> String {
    let short: String = condition
        .type_
        .chars()
        .filter(char::is_ascii_uppercase)
        .collect();
    let reason = condition.reason.as_deref().unwrap_or_default();
    format!("{short}={}{reason}", &condition.status[..1])
}

fn state_text(state: &ContainerState) -> String {
    if let Some(waiting) = &state.waiting {
        return format!("waiting:{}", waiting.reason.as_deref().unwrap());
    }
    match &state.terminated {
        Some(end) => format!("ended:{}:{}", end.reason.as_deref().unwrap(), end.exit_code),
        None => "running".to_owned(),
    }
}

#[test]
fn phases_conditions_and_states() {
    let mut crashed = Observation {
        state: Some(exited(3, 1)),
        ..Observation::default()
    };
    crashed.backoff.restarted(at(90));
    let pulling = Observation {
        hindrance: Some(Hindrance {
            reason: "ErrImagePull".into(),
            message: "no".into(),
            retry_at: at(101),
        }),
        ..Observation::default()
    };
    let ended = |code| Observation {
        state: Some(exited(0, code)),
        ..Observation::default()
    };
    let lost = Observation {
        lost: Some(0),
        ..ended(137)
    };
    let unready = "PRTSC=T I=T R=FContainersNotReady CR=FContainersNotReady";
    let failed = "PRTSC=T I=T R=FPodFailed CR=FPodFailed";
    let completed = "PRTSC=T I=TPodCompleted R=FPodCompleted CR=FPodCompleted";
    let cases = [
        (
            "Always",
            Observation::default(),
            format!("Pending {unready} waiting:ContainerCreating"),
        ),
        (
            "Always",
            pulling,
            format!("Pending {unready} waiting:ErrImagePull"),
        ),
        (
            "Always",
            running_now(false),
            format!("Running {unready} running"),
        ),
        (
            "Always",
            running_now(true),
            "Running PRTSC=T I=T R=T CR=T running".to_owned(),
        ),
        (
            "Always",
            crashed,
            format!("Running {unready} waiting:CrashLoopBackOff ended:Error:1"),
        ),
        (
            "Never",
            lost,
            format!("Failed {failed} ended:ContainerStatusUnknown:137"),
        ),
        ("Never", ended(1), format!("Failed {failed} ended:Error:1")),
        (
            "OnFailure",
            ended(0),
            format!("Succeeded {completed} ended:Completed:0"),
        ),
    ];
    for (policy, observation, expected) in cases {
        let pod = pod(policy, &json!([]));
        assert_eq!(summary(&pod, &observed(observation)), expected);
    }
}

#[test]
fn readiness_gates_count() {
    let gated = pod("Always", &json!([{"conditionType": "example.com/a"}]));
    let status = report(&gated, &observed(running_now(true)));
    let conditions = status.conditions.unwrap();
    assert_eq!(
        conditions[2].reason.as_deref(),
        Some("ReadinessGatesNotReady")
    );
    let expected =
        "corresponding condition of pod readiness gate \"example.com/a\" does not exist.";
    assert_eq!(conditions[2].message.as_deref(), Some(expected));
    assert_eq!(conditions[3].status, "True");
}

#[test]
fn others_fields_and_times_of_unchanged_conditions_stay() {
    let pod = pod("Always", &json!([]));
    let status = report(&pod, &observed(running_now(false)));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert_eq!(status.start_time, Some(Time(at(3))));
    assert_eq!(status.pod_ips.unwrap().len(), 2);
    let conditions = status.conditions.unwrap();
    let times: Vec<_> = conditions
        .iter()
        .map(|condition| {
            condition
                .last_transition_time
                .as_ref()
                .unwrap()
                .0
                .as_second()
        })
        .collect();
    assert_eq!(conditions[4].type_, "PodScheduled");
    assert_eq!(times, [100, 100, 2, 100, 1]);
    assert_eq!(conditions[2].observed_generation, Some(2));
}

#[test]
fn a_status_that_is_reported_back_changes_nothing() {
    let mut pod = pod("Always", &json!([]));
    let observed = observed(running_now(true));
    let first = report(&pod, &observed);
    pod.status = Some(first.clone());
    let second = status(&pod, &observed, &["198.18.0.2".parse().unwrap()], at(200));
    assert_eq!(first, second);
}

#[test]
fn last_words_and_the_kernels_verdict_are_reported() {
    let pod = pod("Always", &json!([]));
    let mut killed = exited(0, 137);
    if let Phase::Exited {
        signal,
        out_of_memory,
        ..
    } = &mut killed.phase
    {
        (*signal, *out_of_memory) = (Some(9), true);
    }
    let observation = Observation {
        state: Some(state(1, Phase::Running { started_at: at(96) })),
        previous: Some(killed),
        messages: [(0, "too much".to_owned())].into(),
        started: true,
        ready: true,
        ..Observation::default()
    };
    let status = report(&pod, &observed(observation));
    let container = &status.container_statuses.unwrap()[0];
    assert_eq!(container.restart_count, 1);
    let last = container.last_state.as_ref().unwrap();
    let end = last.terminated.as_ref().unwrap();
    assert_eq!(end.reason.as_deref(), Some("OOMKilled"));
    assert_eq!(
        (end.exit_code, end.message.as_deref()),
        (137, Some("too much"))
    );
}

#[test]
fn a_container_in_its_hook_is_not_running_yet() {
    let pod = pod("Always", &json!([]));
    let observation = Observation {
        in_post_start: true,
        ..running_now(true)
    };
    let unready = "PRTSC=T I=T R=FContainersNotReady CR=FContainersNotReady";
    assert_eq!(
        summary(&pod, &observed(observation)),
        format!("Pending {unready} waiting:ContainerCreating")
    );
}
