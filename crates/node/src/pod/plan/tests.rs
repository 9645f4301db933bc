//! Pods in a line of text each: what is there, what happens next.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use pod::protocol::{ContainerState, Phase};
use serde_json::{Value, json};

use super::*;
use crate::pod::observed::{Hindrance, Volumes};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// `init…`, `side…` and `main…` containers by the beginning of their names.
fn pod(spec: &Value, names: &[&str]) -> Pod {
    let with = |prefix: &str| -> Vec<Value> {
        let names = names.iter().filter(|name| name.starts_with(prefix));
        let policy = (prefix == "side").then_some("Always");
        names
            .map(|name| json!({"name": name, "restartPolicy": policy}))
            .collect()
    };
    let initial = [with("init"), with("side")].concat();
    let mut object = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"containers": with("main"), "initContainers": initial},
    });
    for (key, value) in spec.as_object().unwrap() {
        let part = if key.starts_with("deletion") {
            "metadata"
        } else {
            "spec"
        };
        object[part][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// `name=running`, `name=exit:CODE@SECOND`; a `+` at the end means started and ready.
fn observe(sandbox_since: Option<i64>, containers: &[&str]) -> Observed {
    let mut observed = Observed {
        sandbox: sandbox_since.map(|since| Sandbox {
            since: at(since),
            addresses: vec![],
        }),
        start_time: Some(at(0)),
        ..Observed::default()
    };
    for text in containers {
        let (name, state) = text.split_once('=').unwrap();
        let healthy = state.ends_with('+');
        let phase = phase(state.trim_end_matches('+'));
        let observation = Observation {
            state: Some(ContainerState {
                name: name.into(),
                attempt: 0,
                pid: None,
                phase,
            }),
            started: healthy,
            ready: healthy,
            ..Observation::default()
        };
        observed.containers.insert(name.into(), observation);
    }
    observed
}

fn phase(text: &str) -> Phase {
    let Some((code, second)) = text
        .strip_prefix("exit:")
        .and_then(|text| text.split_once('@'))
    else {
        return Phase::Running { started_at: at(10) };
    };
    Phase::Exited {
        started_at: at(10),
        finished_at: at(second.parse().unwrap()),
        exit_code: code.parse().unwrap(),
        signal: None,
        out_of_memory: false,
    }
}

/// The plan at second 100 as words.
fn words(pod: &Pod, observed: &Observed) -> String {
    let plan = plan(pod, observed, at(100));
    let mut words: Vec<String> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::MakeVolumes => "volumes".to_owned(),
            Action::MakeSandbox => "sandbox".to_owned(),
            Action::Start { container, attempt } => format!("start {container}#{attempt}"),
            Action::Stop {
                container, grace, ..
            } => {
                format!("stop {container} in {}s", grace.as_secs())
            }
            Action::RemoveSandbox => "remove".to_owned(),
            Action::Forget => "forget".to_owned(),
        })
        .collect();
    words.extend(plan.wake_at.map(|at| format!("wake {}", at.as_second())));
    words.join(", ")
}

#[test]
fn a_pod_is_brought_up_in_order() {
    let pod = pod(&json!({}), &["init1", "init2", "side", "main1", "main2"]);
    let first = "init1=exit:0@20";
    let second = "init2=exit:0@30";
    let cases: &[(Option<i64>, &[&str], &str)] = &[
        (None, &[], "sandbox"),
        (Some(5), &[], "start init1#0"),
        (Some(5), &["init1=running"], ""),
        (Some(5), &[first], "start init2#0"),
        (Some(5), &[first, "init2=exit:1@99"], "start init2#1"),
        (Some(5), &[first, second], "start side#0"),
        (Some(5), &[first, second, "side=running"], ""),
        (
            Some(5),
            &[first, second, "side=running+"],
            "start main1#0, start main2#0",
        ),
        (
            Some(5),
            &[
                first,
                second,
                "side=running+",
                "main1=running",
                "main2=running",
            ],
            "",
        ),
        // A sandbox made later than the containers: everything is done again.
        (
            Some(50),
            &[first, second, "side=exit:137@40", "main1=exit:137@40"],
            "start init1#1",
        ),
        // A sidecar that ended while the main containers run.
        (
            Some(5),
            &[
                first,
                second,
                "side=exit:1@40",
                "main1=running+",
                "main2=running+",
            ],
            "start side#1",
        ),
    ];
    for (sandbox, containers, expected) in cases {
        let observed = observe(*sandbox, containers);
        assert_eq!(words(&pod, &observed), *expected, "{containers:?}");
    }
}

#[test]
fn ended_containers_follow_the_restart_policy() {
    let cases = [
        ("Always", "main=exit:0@90", "start main#1"),
        ("OnFailure", "main=exit:1@90", "start main#1"),
        ("OnFailure", "main=exit:0@90", "remove"),
        ("Never", "main=exit:1@90", "remove"),
        ("Never", "init=exit:1@90", "remove"),
    ];
    for (policy, container, expected) in cases {
        let pod = pod(&json!({"restartPolicy": policy}), &["init", "main"]);
        let mut observed = observe(Some(5), &[container]);
        if container.starts_with("main") {
            observed
                .containers
                .extend(observe(Some(5), &["init=exit:0@20"]).containers);
        }
        assert_eq!(words(&pod, &observed), expected, "{policy} {container}");
    }
}

#[test]
fn a_second_restart_waits_for_its_back_off() {
    let pod = pod(&json!({}), &["main"]);
    let mut observed = observe(Some(5), &["main=exit:1@95"]);
    let observation = observed.containers.get_mut("main").unwrap();
    observation.backoff.restarted(at(90));
    assert_eq!(words(&pod, &observed), "wake 105");
}

#[test]
fn a_hindrance_is_waited_for() {
    let pod = pod(&json!({}), &["main"]);
    let mut observed = observe(Some(5), &[]);
    for (retry_at, expected) in [(101, "wake 101"), (100, "start main#0")] {
        let hindrance = Hindrance {
            reason: "ErrImagePull".into(),
            message: String::new(),
            retry_at: at(retry_at),
        };
        observed
            .containers
            .entry("main".into())
            .or_default()
            .hindrance = Some(hindrance);
        assert_eq!(words(&pod, &observed), expected);
    }
}

#[test]
fn an_unhealthy_container_is_stopped_once() {
    let pod = pod(&json!({"terminationGracePeriodSeconds": 7}), &["main"]);
    let mut observed = observe(Some(5), &["main=running+"]);
    let main = observed.containers.get_mut("main").unwrap();
    main.unhealthy = Some("failed liveness probe, will be restarted".into());
    assert_eq!(words(&pod, &observed), "stop main in 7s");
    observed.containers.get_mut("main").unwrap().stopping = true;
    assert_eq!(words(&pod, &observed), "");
}

#[test]
fn a_deleted_pod_ends_in_reverse() {
    let deleted =
        json!({"deletionTimestamp": "1970-01-01T00:01:50Z", "deletionGracePeriodSeconds": 10});
    let pod = pod(&deleted, &["side1", "side2", "main"]);
    let ended = "main=exit:0@90";
    let cases: &[(Option<i64>, &[&str], &str)] = &[
        (
            Some(5),
            &["side1=running", "side2=running", "main=running"],
            "stop main in 10s",
        ),
        (
            Some(5),
            &["side1=running", "side2=running", ended],
            "stop side2 in 10s",
        ),
        (
            Some(5),
            &["side1=running", "side2=exit:0@95", ended],
            "stop side1 in 10s",
        ),
        (
            Some(5),
            &["side1=exit:0@96", "side2=exit:0@95", ended],
            "remove",
        ),
        (
            None,
            &["side1=exit:0@96", "side2=exit:0@95", ended],
            "forget",
        ),
        (None, &[], "forget"),
    ];
    for (sandbox, containers, expected) in cases {
        let observed = observe(*sandbox, containers);
        assert_eq!(words(&pod, &observed), *expected, "{containers:?}");
    }
}

#[test]
fn an_object_that_is_gone_leaves_no_time() {
    let pod = pod(&json!({}), &["main"]);
    let mut observed = observe(Some(5), &["main=running+"]);
    observed.gone = true;
    assert_eq!(words(&pod, &observed), "stop main in 0s");
}

#[test]
fn a_pod_past_its_deadline_ends_but_stays() {
    let pod = pod(&json!({"activeDeadlineSeconds": 60}), &["main"]);
    assert_eq!(
        words(&pod, &observe(Some(5), &["main=running+"])),
        "stop main in 30s"
    );
    assert_eq!(
        words(&pod, &observe(Some(5), &["main=exit:0@70"])),
        "remove"
    );
    assert_eq!(words(&pod, &observe(None, &["main=exit:0@70"])), "");
}

#[test]
fn volumes_come_first_and_are_renewed_beside_running_containers() {
    let pod = pod(
        &json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        &["main"],
    );
    let made = |ready, fresh, due: Option<i64>, failed: Option<i64>| Volumes {
        ready,
        fresh,
        due: due.map(at),
        failure: failed.map(|retry_at| Hindrance {
            reason: "FailedMount".into(),
            message: String::new(),
            retry_at: at(retry_at),
        }),
    };
    let cases = [
        (made(false, false, None, None), "volumes"),
        (made(false, false, None, Some(101)), "wake 101"),
        (made(false, false, None, Some(100)), "volumes"),
        (made(true, true, None, None), "start main#0"),
        (made(true, true, Some(150), None), "start main#0, wake 150"),
        (made(true, true, Some(100), None), "volumes, start main#0"),
        (made(true, false, None, None), "volumes, start main#0"),
        (made(true, false, None, Some(105)), "start main#0, wake 105"),
    ];
    for (volumes, expected) in cases {
        let mut observed = observe(Some(5), &[]);
        observed.volumes = volumes.clone();
        assert_eq!(words(&pod, &observed), expected, "{volumes:?}");
    }
    let nothing = observe(None, &[]);
    assert_eq!(words(&pod, &nothing), "volumes", "before the sandbox");
}

#[test]
fn a_running_hook_holds_up_the_containers_after_it() {
    let pod = pod(&json!({}), &["side", "main1", "main2"]);
    let hold = |name: &str, containers: &[&str]| {
        let mut observed = observe(Some(5), containers);
        observed.containers.get_mut(name).unwrap().in_post_start = true;
        words(&pod, &observed)
    };
    assert_eq!(hold("side", &["side=running+"]), "");
    assert_eq!(hold("main1", &["side=running+", "main1=running+"]), "");
    let all = ["side=running+", "main1=running+", "main2=exit:1@90"];
    assert_eq!(hold("main2", &all), "start main2#1");
    assert_eq!(
        words(
            &pod,
            &observe(Some(5), &["side=running+", "main1=running+"])
        ),
        "start main2#0"
    );
}

#[test]
fn a_crashing_container_is_started_again_later_and_later() {
    let pod = pod(&json!({}), &["main"]);
    let mut now = 1000;
    let mut backoff = crate::pod::backoff::Backoff::default();
    let mut waits = Vec::new();
    for attempt in 0..8 {
        // It runs for a second and ends.
        now += 1;
        let mut observed = observe(Some(5), &[&format!("main=exit:1@{now}")]);
        let main = observed.containers.get_mut("main").unwrap();
        main.state.as_mut().unwrap().attempt = attempt;
        main.backoff = backoff;
        let start_at = backoff.restart_at(at(now));
        let waiting = plan(&pod, &observed, at(now));
        let wait = start_at.as_second() - now;
        let expected = (wait > 0).then_some(start_at);
        assert_eq!(waiting.wake_at, expected, "attempt {attempt}");
        now += wait;
        let due = plan(&pod, &observed, at(now));
        let action = Action::Start {
            container: "main".into(),
            attempt: attempt + 1,
        };
        assert_eq!(due.actions, [action]);
        backoff.restarted(at(now));
        waits.push(wait);
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
}
