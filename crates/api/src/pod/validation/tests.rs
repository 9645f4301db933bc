use serde_json::{Value, json};

use super::*;

/// A pod with its defaults, as it reaches validation.
fn pod(spec: &Value) -> Value {
    let mut pod =
        json!({"metadata": {"name": "p", "namespace": "n", "resourceVersion": "1"}, "spec": spec});
    crate::pod::defaults::pod(&mut pod);
    pod
}

fn with_container(members: &Value) -> Value {
    let mut container = json!({"name": "c", "image": "i"});
    for (key, value) in members.as_object().into_iter().flatten() {
        container[key] = value.clone();
    }
    json!({"containers": [container]})
}

fn told(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// A spec and the problems that a pod of it has.
fn check(spec: &Value, wanted: &[&str]) {
    assert_eq!(told(&create(&pod(spec))), wanted, "{spec}");
}

#[test]
fn a_plain_pod_has_no_problems() {
    check(&with_container(&json!({})), &[]);
    let full = json!({
        "ports": [{"name": "http", "containerPort": 80, "hostPort": 80}],
        "env": [{"name": "A", "value": "b"}, {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}],
        "envFrom": [{"configMapRef": {"name": "m"}}],
        "resources": {"limits": {"cpu": "1", "example.com/gpu": "2"}},
        "livenessProbe": {"httpGet": {"port": "http"}},
        "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": false},
    });
    check(&with_container(&full), &[]);
}

#[test]
fn containers_are_complete_and_named_once() {
    let twice = json!({"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": " i"}, {"name": "A"}]});
    check(
        &twice,
        &[
            "spec.containers[1].name: Duplicate value: \"c\"",
            "spec.containers[2].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case \
             alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  \
             or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.containers[2].image: Required value",
            "spec.containers[1].image: Invalid value: \" i\": must not have leading or trailing whitespace",
        ],
    );
    check(
        &json!({"containers": []}),
        &["spec.containers: Required value"],
    );
}

#[test]
fn rules_of_a_container_are_data() {
    let cases = [
        (
            json!({"ports": [{"containerPort": 0}, {"containerPort": 70000, "name": "Bad"}]}),
            vec![
                "spec.containers[0].ports[0].containerPort: Required value",
                "spec.containers[0].ports[1].name: Invalid value: \"Bad\": must contain only alpha-numeric \
                 characters (a-z, 0-9), and hyphens (-)",
                "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}, {"name": "B=C"}]}),
            vec![
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
                 `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
                "spec.containers[0].env[1].name: Invalid value: \"B=C\": a valid environment variable name must \
                 consist only of printable ASCII characters other than '='",
            ],
        ),
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a", "subPath": "../b"}]}),
            vec![
                "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
                "spec.containers[0].volumeMounts[1].name: Not found: \"v\"",
                "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"../b\": must not contain '..'",
            ],
        ),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            vec![
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            json!({"readinessProbe": {"httpGet": {"port": 80}, "exec": {"command": ["x"]}, "periodSeconds": -1}}),
            vec![
                "spec.containers[0].readinessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
                "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}}),
            vec![
                "spec.containers[0].securityContext: Invalid value: {\"Capabilities\":null,\"Privileged\":true,\
                 \"SELinuxOptions\":null,\"WindowsOptions\":null,\"RunAsUser\":null,\"RunAsGroup\":null,\
                 \"RunAsNonRoot\":null,\"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\
                 \"ProcMount\":null,\"SeccompProfile\":null,\"AppArmorProfile\":null}: cannot set \
                 `allowPrivilegeEscalation` to false and `privileged` to true",
            ],
        ),
    ];
    for (members, wanted) in cases {
        check(&with_container(&members), &wanted);
    }
}

#[test]
fn a_template_is_checked_like_a_pod_without_a_name() {
    let mut template = json!({"spec": with_container(&json!({"image": " i"}))});
    crate::pod::defaults::spec(&mut template["spec"]);
    assert!(self::template(&template, &Path::new("spec.template")).is_empty());
    template["spec"]["restartPolicy"] = "Sometimes".into();
    let wanted = "spec.template.spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \
                  \"Always\", \"OnFailure\", \"Never\"";
    assert_eq!(
        told(&self::template(&template, &Path::new("spec.template"))),
        [wanted]
    );
}

#[test]
fn little_may_change() {
    let old = pod(&with_container(&json!({})));
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = "j".into();
    new["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    assert_eq!(told(&update(&new, &old)), Vec::<String>::new());
    new["spec"]["hostname"] = "h".into();
    let found = told(&update(&new, &old));
    assert_eq!(found.len(), 1);
    let head =
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,";
    assert!(found[0].starts_with(head));
    let tail = " \"ImagePullSecrets\": null,\n- \"Hostname\": \"\",\n+ \"Hostname\": \"h\",\n  \"Subdomain\": \"\",\n";
    assert!(found[0].contains(tail), "{}", found[0]);
    new["spec"]["containers"] = json!([]);
    let found = told(&update(&new, &old));
    assert_eq!(
        found[1],
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    );
}

#[test]
fn a_resize_changes_sizes_alone() {
    let sized = |cpu: &str, gpu: &str| {
        let amounts = json!({"cpu": cpu, "example.com/gpu": gpu});
        pod(&with_container(
            &json!({"resources": {"limits": amounts, "requests": amounts}}),
        ))
    };
    let mut old = sized("1", "1");
    old["status"]["qosClass"] = "Burstable".into();
    assert_eq!(told(&resize(&sized("2", "1"), &old)), Vec::<String>::new());
    let found = told(&resize(&sized("2", "2"), &old));
    assert_eq!(
        found,
        ["spec: Forbidden: only cpu and memory resources are mutable"]
    );
}
