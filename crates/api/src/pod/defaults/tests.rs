use serde_json::{Value, json};

fn with_defaults(spec: &Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": spec});
    super::pod(&mut pod);
    pod["spec"].clone()
}

#[test]
fn a_bare_container_is_given_what_it_left_out() {
    let spec = with_defaults(&json!({"containers": [{"name": "c", "image": "nginx"}]}));
    let wanted = json!({
        "containers": [{"name": "c", "image": "nginx", "resources": {}, "imagePullPolicy": "Always",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {},
        "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler", "enableServiceLinks": true,
    });
    assert_eq!(spec, wanted);
}

#[test]
fn limits_are_requests_unless_the_container_says_so() {
    let resources = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
    let spec = with_defaults(&json!({"containers": [{"name": "c", "resources": resources}]}));
    let requests = &spec["containers"][0]["resources"]["requests"];
    assert_eq!(requests, &json!({"cpu": "500m", "memory": "1Gi"}));
}

#[test]
fn pod_limits_are_requests_where_no_container_requests() {
    let spec = with_defaults(&json!({
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
        "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "200m"}}},
            {"name": "b", "resources": {"requests": {"cpu": "300m"}}},
        ],
        "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "400m"}}}],
    }));
    let wanted = json!({"cpu": "500m", "memory": "1Gi"});
    assert_eq!(spec["resources"]["requests"], wanted);
}

#[test]
fn the_hosts_network_means_the_hosts_ports() {
    let ports = json!([{"containerPort": 80}]);
    let spec =
        with_defaults(&json!({"hostNetwork": true, "containers": [{"name": "c", "ports": ports}]}));
    let wanted = json!([{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]);
    assert_eq!(spec["containers"][0]["ports"], wanted);
}

#[test]
fn probes_and_volumes_are_completed() {
    let spec = with_defaults(&json!({
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}, {"name": "h", "hostPath": {"path": "/"}}],
        "containers": [{"name": "c", "readinessProbe": {"httpGet": {"port": 80}}}],
    }));
    assert_eq!(spec["volumes"][0], json!({"name": "v", "emptyDir": {}}));
    assert_eq!(spec["volumes"][1]["secret"]["defaultMode"], 420);
    assert_eq!(spec["volumes"][2]["hostPath"]["type"], "");
    let probe = &spec["containers"][0]["readinessProbe"];
    let wanted = json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
        "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
    assert_eq!(probe, &wanted);
}

#[test]
fn pod_ip_and_the_first_of_pod_ips_are_one() {
    let mut pod = json!({"status": {"podIP": "10.0.0.1"}});
    super::pod(&mut pod);
    assert_eq!(pod["status"]["podIPs"], json!([{"ip": "10.0.0.1"}]));
    let mut pod = json!({"status": {"podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::1"}]}});
    super::pod(&mut pod);
    assert_eq!(pod["status"]["podIP"], "10.0.0.2");
}
