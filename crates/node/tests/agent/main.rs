//! A node against an API server in the same process, with real pods in a throw-away namespace; needs root.
//!
//! The test program is its own supervisor: started as `agent pod CONFIG` it runs [`pod::run`], for which it
//! must have one thread, so there is no harness and the tests run one after another. Every test has a
//! cluster of its own, all of them in one network namespace that ends with the program.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

mod cluster;
mod containers;
mod http;

use std::path::Path;
use std::time::{Duration, Instant};

use cluster::Cluster;
use k8s_openapi::api::core::v1::Pod;
use node::RuntimeKind;
use serde_json::json;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, config] = arguments.as_slice()
        && mode == "pod"
    {
        let config = pod::Config::read(Path::new(config)).unwrap();
        return pod::run(config).unwrap();
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wanted = arguments.get(1).map(String::as_str).unwrap_or_default();
    let mut passed = 0;
    macro_rules! tests {
        ($how:expr, $($name:path),* $(,)?) => {$(
            let name = format!("{} in {:?}", stringify!($name), $how).to_lowercase();
            if name.contains(wanted) {
                let began = Instant::now();
                runtime.block_on($name($how));
                println!("test {name} ... ok ({} ms)", began.elapsed().as_millis());
                passed += 1;
            }
        )*};
    }
    for how in [RuntimeKind::Processes, RuntimeKind::Containers] {
        tests!(
            how,
            a_pod_runs_answers_and_goes,
            a_pod_is_ready_soon_after_it_is_bound,
            an_agents_restart_changes_nothing_for_pods,
            a_crashing_container_backs_off,
            an_absent_image_says_what_works,
            a_readiness_probe_decides,
            a_failing_liveness_probe_restarts,
            init_containers_and_variables,
            logs_are_served_to_the_api_server,
            a_killed_supervisor_is_replaced,
        );
    }
    tests!(
        RuntimeKind::Containers,
        containers::a_loaded_image_runs_as_a_container,
        containers::volumes_hold_what_they_should_and_follow_changes,
        containers::parts_of_volumes_and_memory_are_shared,
        containers::a_container_over_its_memory_is_killed_and_restarted,
        containers::who_must_not_be_root_is_refused,
        containers::what_cannot_be_honoured_is_refused,
        containers::a_missing_config_map_holds_up_the_pod,
        containers::hooks_run_and_last_words_are_kept,
        containers::an_agents_restart_loses_no_line_of_a_log,
        containers::nothing_is_left_of_a_pod,
    );
    println!("test result: ok. {passed} passed; 0 failed");
}

async fn a_pod_runs_answers_and_goes(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24", "fd00:7::/64"]).await;
    cluster.create(echo("web", json!({}))).await;
    let pod = cluster.wait_for("web", is_ready).await;
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.host_ip.as_deref(), Some("198.18.0.2"));
    for ip in status.pod_ips.iter().flatten() {
        let answer = http::get(&ip.ip, 8080, "/").await.unwrap();
        assert!(answer.contains("pod=web node=node-1"), "{answer}");
    }
    assert_eq!(status.pod_ips.as_ref().unwrap().len(), 2);
    let uid = pod.metadata.uid.unwrap();
    let began = Instant::now();
    cluster.delete("web").await;
    cluster.wait_until_gone("web").await;
    assert!(began.elapsed() < Duration::from_secs(8));
    // The files go last, after the object.
    let directory = cluster.run_directory().join("pods").join(&uid);
    while directory.exists() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{} stays",
            directory.display()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        !cluster
            .links()
            .await
            .iter()
            .any(|link| link.starts_with("pod"))
    );
    let reasons = cluster.event_reasons("web").await;
    for reason in ["Pulled", "Created", "Started", "Killing"] {
        assert!(
            reasons.iter().any(|found| found == reason),
            "{reason} in {reasons:?}"
        );
    }
}

async fn a_pod_is_ready_soon_after_it_is_bound(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    let probe = json!({"httpGet": {"path": "/readyz", "port": 8080}});
    let mut times = Vec::new();
    for round in 0..10 {
        let name = format!("quick-{round}");
        let began = Instant::now();
        cluster
            .create(echo(&name, json!({"readinessProbe": probe})))
            .await;
        cluster.wait_for(&name, is_ready).await;
        times.push(began.elapsed().as_millis());
    }
    times.sort_unstable();
    println!("  bound to ready, probe included, in ms: {times:?}");
    assert!(times[5] < 1000, "the median pod takes {} ms", times[5]);
    cluster.print_memory();
}

async fn an_agents_restart_changes_nothing_for_pods(runtime: RuntimeKind) {
    let mut cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    let probe = json!({"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1});
    cluster
        .create(echo("web", json!({"readinessProbe": probe})))
        .await;
    let before = cluster.wait_for("web", is_ready).await;
    cluster.stop_agent().await;
    let ip = before.status.as_ref().unwrap().pod_ip.clone().unwrap();
    assert!(
        http::get(&ip, 8080, "/").await.is_ok(),
        "it answers without an agent"
    );
    cluster.start_agent();
    cluster.create(echo("second", json!({}))).await;
    let second = cluster.wait_for("second", is_ready).await;
    assert_ne!(second.status.unwrap().pod_ip.unwrap(), ip);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = cluster.get("web").await.unwrap();
    assert_eq!(before.status, after.status, "nothing has changed");
    cluster.delete("web").await;
    cluster.wait_until_gone("web").await;
}

async fn a_crashing_container_backs_off(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    cluster
        .create(echo("crash", json!({"args": ["exit", "3"]})))
        .await;
    let waits = |pod: &Pod| waiting_reason(pod) == Some("CrashLoopBackOff");
    let pod = cluster.wait_for("crash", waits).await;
    let status = &pod
        .status
        .as_ref()
        .unwrap()
        .container_statuses
        .as_ref()
        .unwrap()[0];
    assert_eq!(status.restart_count, 1, "the first restart does not wait");
    let last = status
        .last_state
        .as_ref()
        .unwrap()
        .terminated
        .as_ref()
        .unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    cluster
        .create(with_policy(
            echo("once", json!({"args": ["exit", "0"]})),
            "Never",
        ))
        .await;
    cluster
        .wait_for("once", |pod| phase(pod) == Some("Succeeded"))
        .await;
    cluster
        .create(with_policy(
            echo("fails", json!({"args": ["exit", "1"]})),
            "Never",
        ))
        .await;
    cluster
        .wait_for("fails", |pod| phase(pod) == Some("Failed"))
        .await;
}

async fn an_absent_image_says_what_works(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    cluster
        .create(echo("absent", json!({"image": "nginx"})))
        .await;
    let pod = cluster
        .wait_for("absent", |pod| {
            waiting_reason(pod).is_some_and(|reason| reason.contains("ImagePull"))
        })
        .await;
    let status = &pod
        .status
        .as_ref()
        .unwrap()
        .container_statuses
        .as_ref()
        .unwrap()[0];
    let message = status
        .state
        .as_ref()
        .unwrap()
        .waiting
        .as_ref()
        .unwrap()
        .message
        .clone()
        .unwrap();
    assert!(message.contains("fairway image load"), "{message}");
    cluster.delete("absent").await;
    cluster.wait_until_gone("absent").await;
}

async fn a_readiness_probe_decides(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    let probe = json!({"httpGet": {"path": "/readyz", "port": "web"}, "periodSeconds": 1, "failureThreshold": 1});
    let ports = json!([{"name": "web", "containerPort": 9090}]);
    cluster
        .create(echo(
            "web",
            json!({"readinessProbe": probe, "ports": ports}),
        ))
        .await;
    let pod = cluster.wait_for("web", is_ready).await;
    let ip = pod.status.unwrap().pod_ip.unwrap();
    http::get(&ip, 9090, "/unready").await.unwrap();
    let pod = cluster.wait_for("web", |pod| !is_ready(pod)).await;
    assert_eq!(phase(&pod), Some("Running"));
    http::get(&ip, 9090, "/ready").await.unwrap();
    cluster.wait_for("web", is_ready).await;
}

async fn a_failing_liveness_probe_restarts(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    let liveness = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1});
    let startup = json!({"tcpSocket": {"port": 8080}});
    let container = json!({"livenessProbe": liveness, "startupProbe": startup});
    cluster.create(echo("web", container)).await;
    let pod = cluster.wait_for("web", is_ready).await;
    http::get(&pod.status.unwrap().pod_ip.unwrap(), 8080, "/dead")
        .await
        .unwrap();
    let restarted = |pod: &Pod| {
        let statuses = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref());
        statuses.is_some_and(|statuses| statuses[0].restart_count == 1) && is_ready(pod)
    };
    cluster.wait_for("web", restarted).await;
    let reasons = cluster.event_reasons("web").await;
    assert!(
        reasons.iter().any(|reason| reason == "Unhealthy"),
        "{reasons:?}"
    );
}

async fn init_containers_and_variables(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    cluster
        .create_config_map("settings", json!({"color": "red"}))
        .await;
    cluster.create_service("db", "10.96.0.77").await;
    let env = json!([
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "DB", "value": "$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)"},
    ]);
    let mut pod = echo("web", json!({"env": env}));
    pod["spec"]["initContainers"] = json!([
        {"name": "first", "image": "fairway/echo", "args": ["sleep", "0"]},
        {"name": "second", "image": "fairway/echo", "args": ["exit", "0"]},
        {"name": "side", "image": "fairway/echo", "args": ["9999"], "restartPolicy": "Always"},
    ]);
    cluster.create(pod).await;
    let pod = cluster.wait_for("web", is_ready).await;
    let status = pod.status.unwrap();
    let ip = status.pod_ip.unwrap();
    let names: Vec<bool> = status
        .init_container_statuses
        .iter()
        .flatten()
        .map(|status| status.ready)
        .collect();
    assert_eq!(names, [true, true, true]);
    let variables = http::get(&ip, 8080, "/env").await.unwrap();
    let expected = [
        format!("IP={ip}"),
        "COLOR=red".to_owned(),
        "DB=10.96.0.77:5432".to_owned(),
        "HOSTNAME=web".to_owned(),
    ];
    for line in expected {
        assert!(
            variables.lines().any(|found| found == line),
            "{line} in {variables}"
        );
    }
    assert!(
        http::get(&ip, 9999, "/").await.is_ok(),
        "the sidecar answers"
    );
}

async fn logs_are_served_to_the_api_server(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    cluster
        .create(echo(
            "crash",
            json!({"args": ["dial", "tcp", "127.0.0.1:1"]}),
        ))
        .await;
    let restarted = |pod: &Pod| waiting_reason(pod) == Some("CrashLoopBackOff");
    cluster.wait_for("crash", restarted).await;
    let text = cluster
        .logs("crash", &kube::api::LogParams::default())
        .await
        .unwrap();
    assert!(!text.is_empty());
    let with_times = kube::api::LogParams {
        timestamps: true,
        tail_lines: Some(1),
        ..Default::default()
    };
    let line = cluster.logs("crash", &with_times).await.unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    assert!(text.ends_with(rest));
    let previous = kube::api::LogParams {
        previous: true,
        ..Default::default()
    };
    assert!(!cluster.logs("crash", &previous).await.unwrap().is_empty());
}

async fn a_killed_supervisor_is_replaced(runtime: RuntimeKind) {
    let cluster = Cluster::start(runtime, &["10.244.7.0/24"]).await;
    cluster.create(echo("web", json!({}))).await;
    cluster.wait_for("web", is_ready).await;
    cluster.kill_supervisor("web").await;
    let replaced = |pod: &Pod| {
        let statuses = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref());
        statuses.is_some_and(|statuses| statuses[0].restart_count == 1) && is_ready(pod)
    };
    let pod = cluster.wait_for("web", replaced).await;
    let status = &pod
        .status
        .as_ref()
        .unwrap()
        .container_statuses
        .as_ref()
        .unwrap()[0];
    let last = status
        .last_state
        .as_ref()
        .unwrap()
        .terminated
        .as_ref()
        .unwrap();
    assert_eq!(last.reason.as_deref(), Some("ContainerStatusUnknown"));
}

/// A pod of one container of the built-in image.
#[expect(
    clippy::needless_pass_by_value,
    reason = "written in place by every caller"
)]
fn echo(name: &str, container: serde_json::Value) -> serde_json::Value {
    let mut all = json!({"name": "main", "image": "fairway/echo"});
    all.as_object_mut()
        .unwrap()
        .extend(container.as_object().unwrap().clone());
    json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 1, "containers": [all]},
    })
}

fn with_policy(mut pod: serde_json::Value, policy: &str) -> serde_json::Value {
    pod["spec"]["restartPolicy"] = json!(policy);
    pod
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn waiting_reason(pod: &Pod) -> Option<&str> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}
