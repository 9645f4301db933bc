//! Specifications from pods, as `config.json` would have them.

use serde_json::{Value, json};

use super::*;

/// All capabilities but `SYS_RESOURCE`, as on machines that are containers themselves.
fn machine() -> MachineRights {
    MachineRights {
        capabilities: ((1 << 41) - 1) & !(1 << 24),
        filters_devices: true,
    }
}

fn made(pod: &Value, container: &Value) -> Value {
    made_with(pod, container, None)
}

fn made_with(pod: &Value, container: &Value, pid_namespace: Option<PathBuf>) -> Value {
    let mut container = container.clone();
    container["name"] = json!("main");
    let mut spec_of_pod = pod.clone();
    spec_of_pod["containers"] = json!([container]);
    let pod: Pod = serde_json::from_value(json!({"spec": spec_of_pod})).unwrap();
    let input = Input {
        pod: &pod,
        container: &pod.spec.as_ref().unwrap().containers[0],
        words: vec!["/bin/app".into(), "serve".into()],
        environment: [("PATH", "/bin"), ("A", "b=c")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        image_directory: "srv",
        ids: Ids {
            uid: 1000,
            gid: 50,
            groups: vec![50, 60],
        },
        binds: vec![Bind {
            read_only: true,
            ..Bind::writable("/state/v".into(), "/v")
        }],
        cgroup: "/node/pods/u/main".into(),
        pid_namespace,
        rights: &machine(),
        devices: Vec::new,
    };
    serde_json::to_value(spec(&input).unwrap()).unwrap()
}

#[test]
fn a_plain_container_is_what_kubernetes_users_expect() {
    let spec = made(&json!({}), &json!({}));
    assert_eq!(spec["root"], json!({"path": "rootfs", "readonly": false}));
    let process = &spec["process"];
    assert_eq!(process["args"], json!(["/bin/app", "serve"]));
    assert_eq!(process["env"], json!(["A=b=c", "PATH=/bin"]));
    assert_eq!(process["cwd"], "/srv");
    assert_eq!(
        process["user"],
        json!({"uid": 1000, "gid": 50, "additionalGids": [50, 60]})
    );
    assert_eq!(process["noNewPrivileges"], false);
    let capabilities = &process["capabilities"];
    assert_eq!(capabilities["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(capabilities["ambient"], json!([]));
    for left_out in ["rlimits", "oomScoreAdj", "apparmorProfile"] {
        assert_eq!(process[left_out], Value::Null, "{left_out}");
    }
    for left_out in ["hostname", "domainname", "hooks"] {
        assert_eq!(spec[left_out], Value::Null, "{left_out}");
    }
    let linux = &spec["linux"];
    assert_eq!(linux["cgroupsPath"], "/node/pods/u/main");
    assert_eq!(namespaces_of(&spec), ["mount", "cgroup", "pid"]);
    assert_eq!(linux["seccomp"], Value::Null);
    let masked = linux["maskedPaths"].as_array().unwrap();
    assert!(masked.contains(&json!("/proc/kcore")));
}

#[test]
fn mounts_come_in_order_and_volumes_last() {
    let spec = made(&json!({}), &json!({}));
    let mounts = spec["mounts"].as_array().unwrap();
    let places: Vec<&str> = mounts
        .iter()
        .map(|mount| mount["destination"].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "/proc",
            "/dev",
            "/dev/pts",
            "/dev/mqueue",
            "/sys",
            "/sys/fs/cgroup",
            "/v"
        ]
    );
    assert_eq!(mounts[6]["options"], json!(["rbind", "rprivate", "ro"]));
    assert_eq!(mounts[6]["source"], "/state/v");
}

#[test]
fn rights_are_taken_away_when_asked() {
    let context = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    let spec = made(
        &json!({}),
        &json!({"securityContext": context, "workingDir": "/tmp"}),
    );
    assert_eq!(spec["process"]["noNewPrivileges"], true);
    assert_eq!(spec["process"]["capabilities"]["bounding"], json!([]));
    assert_eq!(spec["root"]["readonly"], true);
    assert_eq!(spec["process"]["cwd"], "/tmp");
}

#[test]
fn a_privileged_container_gets_what_the_machine_has() {
    let spec = made(
        &json!({}),
        &json!({"securityContext": {"privileged": true}}),
    );
    let bounding = spec["process"]["capabilities"]["bounding"]
        .as_array()
        .unwrap();
    assert_eq!(bounding.len(), 40, "all but the one that is not held");
    assert_eq!(spec["linux"]["maskedPaths"], json!([]));
    assert_eq!(
        spec["linux"]["resources"]["devices"],
        json!([{"allow": true, "access": "rwm"}])
    );
    let options = &spec["mounts"][4]["options"];
    assert_eq!(options, &json!(["nosuid", "noexec", "nodev", "rw"]));
}

#[test]
fn pid_namespaces_are_own_shared_or_the_machines() {
    let shared = Some(PathBuf::from("/run/u/pid-namespace"));
    let spec = made_with(&json!({}), &json!({}), shared);
    let pid = &spec["linux"]["namespaces"][2];
    assert_eq!(pid, &json!({"type": "pid", "path": "/run/u/pid-namespace"}));
    let spec = made(&json!({"hostPID": true}), &json!({}));
    assert_eq!(namespaces_of(&spec), ["mount", "cgroup"]);
}

fn namespaces_of(spec: &Value) -> Vec<&str> {
    let all = spec["linux"]["namespaces"].as_array().unwrap();
    all.iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect()
}
