//! Pods of a loaded image, as real containers.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use node::RuntimeKind;
use serde_json::{Value, json};
use testkit::archive;

use crate::cluster::Cluster;
use crate::{is_ready, phase, waiting_reason};

const RANGES: &[&str] = &["10.244.7.0/24"];

/// A node that has the image.
async fn start(runtime: RuntimeKind) -> Cluster {
    let cluster = Cluster::start(runtime, RANGES).await;
    cluster.load(&archive::busybox());
    cluster
}

/// A pod whose main container runs a script.
#[expect(
    clippy::needless_pass_by_value,
    reason = "written in place by every caller"
)]
fn shell(name: &str, script: &str, container: Value, spec: Value) -> Value {
    let mut main = json!({
        "name": "main", "image": archive::NAME, "command": ["sh", "-c", script],
    });
    main.as_object_mut()
        .unwrap()
        .extend(container.as_object().unwrap().clone());
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "one"}},
        "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 1, "containers": [main]},
    });
    pod["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    pod
}

fn main_status(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Succeeded" | "Failed"))
}

/// `Waiting` message of the main container.
fn waiting_message(pod: &Pod) -> Option<String> {
    let waiting = main_status(pod)?.state.as_ref()?.waiting.as_ref()?;
    waiting.message.clone()
}

fn assert_lines(log: &str, expected: &[&str]) {
    for line in expected {
        assert!(
            log.lines().any(|found| found == *line),
            "{line:?} in\n{log}"
        );
    }
}

/// Tells all that a container can see of itself.
const SELF_PORTRAIT: &str = "
    echo pid $$$$
    echo id $(id -u):$(id -g) $(id -G)
    echo name $(hostname) $(cat /etc/hostname)
    echo where $(readlink /proc/self/cwd)
    echo env $COLOR $IP $FROM_IMAGE $LIMIT
    echo file $(cat /etc/image)
    test -e /etc/below || echo whiteout works
    echo init said $(cat /shared/from-init)
    grep -c NoNewPrivs:.1 /proc/self/status
    echo caps $(grep CapBnd /proc/self/status)
    touch /new 2>/dev/null || echo root is read-only
    grep web-1 /etc/hosts
    cat /proc/self/cgroup | grep -c ':/$'
    test -d /proc/1 && test ! -e /proc/sys/fs/x && echo proc is there
    touch /shared/ready
    echo ready
    sleep 100";

pub(crate) async fn a_loaded_image_runs_as_a_container(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    cluster
        .create_config_map("settings", json!({"color": "red"}))
        .await;
    let env = json!([
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]);
    let mounts = json!([{"name": "shared", "mountPath": "/shared"}]);
    let security = json!({
        "runAsUser": 101, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    });
    let probe = json!({"exec": {"command": ["cat", "/shared/ready"]}, "periodSeconds": 1});
    let resources = json!({"limits": {"memory": "64Mi", "cpu": "500m"}});
    let container = json!({
        "env": env, "volumeMounts": mounts, "securityContext": security,
        "readinessProbe": probe, "resources": resources,
    });
    let init = json!([{
        "name": "init", "image": archive::NAME, "volumeMounts": mounts,
        "command": ["sh", "-c", "id -u > /shared/from-init"],
    }]);
    let spec = json!({
        "initContainers": init, "volumes": [{"name": "shared", "emptyDir": {}}],
        "securityContext": {"fsGroup": 77, "runAsNonRoot": false},
    });
    cluster
        .create(shell("web-1", SELF_PORTRAIT, container, spec))
        .await;
    let pod = cluster.wait_for("web-1", is_ready).await;
    let ip = pod.status.as_ref().unwrap().pod_ip.clone().unwrap();
    let log = cluster.log("web-1").await;
    assert_lines(
        &log,
        &[
            "pid 1",
            "id 101:102 102 77 105",
            "name web-1 web-1",
            "where /base/of/image",
            &format!("env red {ip} yes 64"),
            "file from the second layer",
            "whiteout works",
            "init said 0",
            "caps CapBnd: 0000000000000400",
            "root is read-only",
            &format!("{ip}\tweb-1"),
            "proc is there",
        ],
    );
    let status = main_status(&pod).unwrap();
    assert!(status.image_id.contains("@sha256:"), "{}", status.image_id);
    cluster.delete("web-1").await;
    cluster.wait_until_gone("web-1").await;
}

pub(crate) async fn volumes_hold_what_they_should_and_follow_changes(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    cluster
        .create_config_map("settings", json!({"color": "red", "size": "9"}))
        .await;
    cluster.create_secret("keys", json!({"token": "abc"})).await;
    let script = "
        echo config $(cat /config/color) $(cat /config/size)
        echo secret $(cat /all/key) $(stat -L -c %a /all/key)
        echo labels $(cat /all/labels)
        touch /config/x 2>/dev/null || echo config is read-only
        echo looking
        while :; do
            case \"$(cat /config/color) $(cat /all/labels)\" in
            *blue*two*) echo changed; sleep 100;;
            esac
            sleep 0.1
        done";
    let mounts = json!([
        {"name": "config", "mountPath": "/config"},
        {"name": "all", "mountPath": "/all"},
    ]);
    let volumes = json!([
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "all", "projected": {"defaultMode": 0o440, "sources": [
            {"secret": {"name": "keys", "items": [{"key": "token", "path": "key"}]}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"configMap": {"name": "absent", "optional": true}},
        ]}},
    ]);
    let pod = shell(
        "volumes",
        script,
        json!({"volumeMounts": mounts}),
        json!({"volumes": volumes}),
    );
    cluster.create(pod).await;
    cluster.wait_for("volumes", is_ready).await;
    cluster.wait_for_line("volumes", "looking").await;
    assert_lines(
        &cluster.log("volumes").await,
        &[
            "config red 9",
            "secret abc 440",
            "labels app=\"one\"",
            "config is read-only",
        ],
    );
    cluster
        .change_config_map("settings", json!({"color": "blue"}))
        .await;
    cluster.label("volumes", json!({"app": "two"})).await;
    cluster.wait_for_line("volumes", "changed").await;
}

pub(crate) async fn parts_of_volumes_and_memory_are_shared(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    cluster
        .create_config_map("settings", json!({"color": "red", "size": "9"}))
        .await;
    let script = "
        cat /etc/one-file
        ls /etc/one-file /etc/image
        echo part > /part/file
        while ! test -e /memory/from-second; do sleep 0.05; done
        echo whole $(cat /whole/deep/web/file)
        echo memory $(cat /memory/from-second) $(stat -f -c %T /memory)
        echo shm $(cat /dev/shm/from-second)
        mount | grep -c ' /memory type tmpfs'";
    let second = json!({
        "name": "second", "image": archive::NAME,
        "command": ["sh", "-c", "echo hello > /dev/shm/from-second; echo hi > /memory/.x; mkdir -p /memory; cat /memory/.x > /memory/from-second; sleep 100"],
        "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
    });
    let container = json!({
        "env": [{"name": "WHO", "value": "web"}],
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/one-file", "subPath": "color"},
            {"name": "folder", "mountPath": "/part", "subPathExpr": "deep/$(WHO)"},
            {"name": "folder", "mountPath": "/whole"},
            {"name": "memory", "mountPath": "/memory"},
        ],
    });
    let volumes = json!([
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "folder", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]);
    let spec = json!({"volumes": volumes, "restartPolicy": "Never"});
    let mut pod = shell("parts", script, container, spec);
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(second);
    cluster.create(pod).await;
    let ended = |pod: &Pod| {
        let state = main_status(pod).and_then(|status| status.state.as_ref());
        state.is_some_and(|state| state.terminated.is_some())
    };
    cluster.wait_for("parts", ended).await;
    let parameters = kube::api::LogParams {
        container: Some("main".into()),
        ..Default::default()
    };
    let log = cluster.logs("parts", &parameters).await.unwrap();
    assert_lines(&log, &["whole part", "memory hi tmpfs", "shm hello", "1"]);
    assert!(log.starts_with("red/etc/image\n"), "{log}");
}

pub(crate) async fn a_container_over_its_memory_is_killed_and_restarted(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    let script = "echo attempt; tail /dev/zero";
    let container = json!({"resources": {"limits": {"memory": "24Mi"}}});
    cluster
        .create(shell("greedy", script, container, json!({})))
        .await;
    let killed_twice = |pod: &Pod| {
        main_status(pod).is_some_and(|status| status.restart_count >= 1)
            && waiting_reason(pod) == Some("CrashLoopBackOff")
    };
    let pod = cluster.wait_for("greedy", killed_twice).await;
    let last = main_status(&pod).unwrap().last_state.as_ref().unwrap();
    let end = last.terminated.as_ref().unwrap();
    assert_eq!(
        (end.exit_code, end.reason.as_deref()),
        (137, Some("OOMKilled"))
    );
    assert_eq!(cluster.log("greedy").await, "attempt\n", "each has its log");
}

pub(crate) async fn who_must_not_be_root_is_refused(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    let spec = json!({"securityContext": {"runAsNonRoot": true}});
    cluster
        .create(shell("root", "sleep 100", json!({}), spec.clone()))
        .await;
    let refused = |pod: &Pod| waiting_reason(pod) == Some("CreateContainerConfigError");
    let pod = cluster.wait_for("root", refused).await;
    let message = waiting_message(&pod).unwrap();
    assert!(
        message.starts_with(
            "container has runAsNonRoot and image will run as root (pod: \"root_default("
        ),
        "{message}"
    );
    let container = json!({"securityContext": {"runAsUser": 1000, "runAsGroup": 3000}});
    let script = "echo $(id -u):$(id -g); sleep 100";
    cluster.create(shell("user", script, container, spec)).await;
    cluster.wait_for_line_when_ready("user", "1000:3000").await;
}

pub(crate) async fn what_cannot_be_honoured_is_refused(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    let container = json!({
        "tty": true, "ports": [{"containerPort": 80, "hostPort": 80}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    });
    cluster
        .create(shell("odd", "true", container, json!({})))
        .await;
    let refused = |pod: &Pod| waiting_reason(pod) == Some("CreateContainerConfigError");
    let pod = cluster.wait_for("odd", refused).await;
    let message = waiting_message(&pod).unwrap();
    for field in [
        "tty: ",
        "ports.hostPort: ",
        "securityContext.seccompProfile: ",
    ] {
        assert!(message.contains(field), "{field} in {message}");
    }
    let spec = json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]});
    cluster.create(shell("host", "true", json!({}), spec)).await;
    let event = failed_mount(&cluster, "host").await;
    assert!(event.contains("--allow-host-path"), "{event}");
}

/// Waits for a `FailedMount` event of a pod.
async fn failed_mount(cluster: &Cluster, pod: &str) -> String {
    for _ in 0..100 {
        let events = cluster.events(pod).await;
        let found = events
            .into_iter()
            .find(|(reason, _)| reason == "FailedMount");
        if let Some((_, message)) = found {
            return message;
        }
    }
    panic!("no event FailedMount of {pod}");
}

pub(crate) async fn a_missing_config_map_holds_up_the_pod(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    let container = json!({"volumeMounts": [{"name": "config", "mountPath": "/config"}]});
    let volumes = json!([{"name": "config", "configMap": {"name": "late"}}]);
    let script = "cat /config/key; echo; sleep 100";
    cluster
        .create(shell(
            "waits",
            script,
            container,
            json!({"volumes": volumes}),
        ))
        .await;
    let event = failed_mount(&cluster, "waits").await;
    assert_eq!(
        event,
        "MountVolume.SetUp failed for volume \"config\" : configmap \"late\" not found"
    );
    let pod = cluster.get("waits").await.unwrap();
    assert_eq!(waiting_reason(&pod), Some("ContainerCreating"));
    cluster
        .create_config_map("late", json!({"key": "here"}))
        .await;
    cluster.wait_for_line_when_ready("waits", "here").await;
}

pub(crate) async fn hooks_run_and_last_words_are_kept(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    let lifecycle = json!({
        "postStart": {"exec": {"command": ["sh", "-c", "echo started > /shared/hook"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}},
    });
    let container = json!({
        "lifecycle": lifecycle,
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    });
    let script = "
        while ! test -e /shared/hook; do sleep 0.05; done
        cat /shared/hook
        trap 'echo last words > /dev/termination-log; echo bye; exit 3' TERM
        while :; do sleep 0.05; done";
    let spec = json!({
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "restartPolicy": "Never", "activeDeadlineSeconds": 5, "terminationGracePeriodSeconds": 10,
    });
    cluster
        .create(shell("hooks", script, container, spec))
        .await;
    let pod = cluster.wait_for("hooks", has_stopped).await;
    let state = main_status(&pod).unwrap().state.as_ref().unwrap();
    let end = state.terminated.as_ref().unwrap();
    assert_eq!(end.exit_code, 3);
    assert_eq!(end.message.as_deref(), Some("last words\n"));
    assert_lines(&cluster.log("hooks").await, &["started", "stopping", "bye"]);

    let failing = json!({"lifecycle": {"postStart": {"exec": {"command": ["false"]}}}});
    cluster
        .create(shell("bad-hook", "sleep 100", failing, json!({})))
        .await;
    let restarted = |pod: &Pod| main_status(pod).is_some_and(|status| status.restart_count > 0);
    cluster.wait_for("bad-hook", restarted).await;
    let reasons = cluster.event_reasons("bad-hook").await;
    assert!(
        reasons.contains(&"FailedPostStartHook".to_owned()),
        "{reasons:?}"
    );

    let falls_back = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    let script = "echo out; echo wrong >&2; exit 1";
    cluster
        .create(shell(
            "talks",
            script,
            falls_back,
            json!({"restartPolicy": "Never"}),
        ))
        .await;
    let pod = cluster.wait_for("talks", has_ended).await;
    let state = main_status(&pod).unwrap().state.as_ref().unwrap();
    let message = state.terminated.as_ref().unwrap().message.clone().unwrap();
    let mut lines: Vec<&str> = message.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["out", "wrong"]);
}

fn has_stopped(pod: &Pod) -> bool {
    let state = main_status(pod).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.terminated.is_some())
}

pub(crate) async fn an_agents_restart_loses_no_line_of_a_log(runtime: RuntimeKind) {
    let mut cluster = start(runtime).await;
    let script = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";
    cluster
        .create(shell("counter", script, json!({}), json!({})))
        .await;
    let before = cluster.wait_for("counter", is_ready).await;
    let uid = before.metadata.uid.clone().unwrap();
    let pids = |cluster: &Cluster| -> Vec<String> {
        let states = pod::record::read_all(&cluster.run_directory().join("pods").join(&uid));
        states
            .iter()
            .map(|state| format!("{:?}", state.pid))
            .collect()
    };
    let pid = pids(&cluster);
    for _ in 0..3 {
        cluster.stop_agent().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.start_agent();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(pids(&cluster), pid, "the same process");
    let after = cluster.wait_for("counter", is_ready).await;
    assert_eq!(before.status, after.status);
    let log = cluster.log("counter").await;
    let numbers: Vec<usize> = log
        .lines()
        .map(|line| line.strip_prefix("line ").unwrap().parse().unwrap())
        .collect();
    let expected: Vec<usize> = (1..=numbers.len()).collect();
    assert_eq!(numbers, expected, "no line is lost or doubled");
    assert!(numbers.len() > 30, "{} lines", numbers.len());
}

pub(crate) async fn nothing_is_left_of_a_pod(runtime: RuntimeKind) {
    let cluster = start(runtime).await;
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    cluster.create_secret("keys", json!({"token": "abc"})).await;
    let volumes = json!([
        {"name": "folder", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "secret", "secret": {"secretName": "keys"}},
    ]);
    let container = json!({"volumeMounts": [
        {"name": "folder", "mountPath": "/a", "subPath": "b"},
        {"name": "memory", "mountPath": "/m"},
        {"name": "secret", "mountPath": "/s"},
    ]});
    let script = "echo x > /a/x; echo y > /tmp/y; mkdir -p /deep/er; sleep 100 & sleep 100";
    cluster
        .create(shell(
            "gone",
            script,
            container,
            json!({"volumes": volumes}),
        ))
        .await;
    let pod = cluster.wait_for("gone", is_ready).await;
    let uid = pod.metadata.uid.unwrap();
    assert!(!cluster.groups(&uid).is_empty());
    assert_eq!(mounts(), before, "the machine's mount table stays as it is");
    cluster.delete("gone").await;
    cluster.wait_until_gone("gone").await;
    let directories = [cluster.run_directory(), cluster.data_directory()];
    for _ in 0..200 {
        let left = directories
            .iter()
            .any(|root| root.join("pods").join(&uid).exists());
        if !left && cluster.groups(&uid).is_empty() {
            assert_eq!(mounts(), before);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("left: {:?} {:?}", cluster.groups(&uid), directories);
}
