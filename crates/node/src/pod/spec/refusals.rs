//! What a pod asks for and this node cannot give, named field by field: nothing is passed over in silence.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, ContainerPort, Pod, PodSpec, SeccompProfile, SecurityContext,
    VolumeMount,
};

use super::MachineRights;
use super::security::{capability, holds, is_all, is_privileged};

/// Everything about a container in its pod that cannot be honoured.
pub(crate) fn refusals(pod: &Pod, container: &Container, machine: &MachineRights) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(spec) = &pod.spec {
        of_pod(spec, &mut all);
        of_ports(
            spec,
            container.ports.as_deref().unwrap_or_default(),
            &mut all,
        );
    }
    if let Some(context) = &container.security_context {
        of_security(context, "securityContext", machine, &mut all);
    }
    of_streams(container, &mut all);
    of_environment(container, &mut all);
    of_resources(container, &mut all);
    let privileged = is_privileged(container);
    for mount in container.volume_mounts.iter().flatten() {
        of_mount(mount, privileged, &mut all);
    }
    if container.volume_devices.iter().flatten().next().is_some() {
        all.push("volumeDevices: block devices are not supported".to_owned());
    }
    all
}

fn of_pod(spec: &PodSpec, all: &mut Vec<String>) {
    if spec.host_users == Some(false) {
        all.push("spec.hostUsers: user namespaces are not supported yet".to_owned());
    }
    if let Some(name) = &spec.runtime_class_name {
        all.push(format!(
            "spec.runtimeClassName: {name:?} is not known, this node has one runtime"
        ));
    }
    if spec.resources.is_some() {
        all.push(
            "spec.resources: limits of whole pods are not supported yet, set them in containers"
                .to_owned(),
        );
    }
    let Some(context) = &spec.security_context else {
        return;
    };
    if let Some(profile) = &context.seccomp_profile {
        of_seccomp(profile, "spec.securityContext", all);
    }
    if let Some(profile) = &context.app_armor_profile {
        of_app_armor(profile, "spec.securityContext", all);
    }
    for sysctl in context.sysctls.iter().flatten() {
        if !is_safe_sysctl(&sysctl.name) {
            all.push(format!(
                "spec.securityContext.sysctls: forbidden sysctl: {:?} not allowlisted",
                sysctl.name
            ));
        }
    }
}

fn of_ports(spec: &PodSpec, ports: &[ContainerPort], all: &mut Vec<String>) {
    if spec.host_network == Some(true) {
        return;
    }
    let taken = ports
        .iter()
        .filter_map(|port| port.host_port)
        .find(|port| *port != 0);
    if let Some(port) = taken {
        all.push(format!(
            "ports.hostPort: {port} is not opened on the node; use a Service of type NodePort, or hostNetwork"
        ));
    }
}

fn of_security(
    context: &SecurityContext,
    place: &str,
    machine: &MachineRights,
    all: &mut Vec<String>,
) {
    if let Some(profile) = &context.seccomp_profile {
        of_seccomp(profile, place, all);
    }
    if let Some(profile) = &context.app_armor_profile {
        of_app_armor(profile, place, all);
    }
    if context.proc_mount.as_deref() == Some("Unmasked") {
        all.push(format!(
            "{place}.procMount: Unmasked needs a user namespace, which is not supported yet"
        ));
    }
    let added = context
        .capabilities
        .iter()
        .flat_map(|lists| lists.add.iter().flatten());
    for name in added.filter(|name| !is_all(name)) {
        match capability(name) {
            None => all.push(format!(
                "{place}.capabilities.add: unknown capability {name:?}"
            )),
            Some(one) if !holds(machine.capabilities, one) => all.push(format!(
                "{place}.capabilities.add: this node has not itself the capability {name:?} to give"
            )),
            Some(_) => {}
        }
    }
}

/// There is no filter yet, and a container that asked for one must not run without.
fn of_seccomp(profile: &SeccompProfile, place: &str, all: &mut Vec<String>) {
    if profile.type_ != "Unconfined" {
        all.push(format!(
            "{place}.seccompProfile: {} cannot be applied, this node has no seccomp filter yet; leave the field out or say Unconfined",
            profile.type_
        ));
    }
}

fn of_app_armor(profile: &AppArmorProfile, place: &str, all: &mut Vec<String>) {
    if profile.type_ != "Unconfined" {
        all.push(format!(
            "{place}.appArmorProfile: {} cannot be applied, AppArmor is not supported",
            profile.type_
        ));
    }
}

fn of_streams(container: &Container, all: &mut Vec<String>) {
    if container.stdin == Some(true) {
        all.push("stdin: nothing can be attached to a container yet".to_owned());
    }
    if container.tty == Some(true) {
        all.push("tty: terminals are not supported yet".to_owned());
    }
}

fn of_environment(container: &Container, all: &mut Vec<String>) {
    let sources = container.env.iter().flatten();
    let from_file = sources
        .filter_map(|variable| variable.value_from.as_ref())
        .any(|from| from.file_key_ref.is_some());
    if from_file {
        all.push("env.valueFrom.fileKeyRef: variables from files are not supported yet".to_owned());
    }
    let rules = container.restart_policy_rules.iter().flatten();
    for rule in rules.filter(|rule| rule.action != "Restart") {
        all.push(format!(
            "restartPolicyRules.action: {} is not supported, Restart is",
            rule.action
        ));
    }
}

fn of_resources(container: &Container, all: &mut Vec<String>) {
    let Some(resources) = &container.resources else {
        return;
    };
    for name in resources.limits.iter().flat_map(|limits| limits.keys()) {
        if !matches!(name.as_str(), "cpu" | "memory") {
            all.push(format!(
                "resources.limits: {name} is not enforced by this node; only cpu and memory are"
            ));
        }
    }
    if resources.claims.iter().flatten().next().is_some() {
        all.push("resources.claims: claims are not supported".to_owned());
    }
}

fn of_mount(mount: &VolumeMount, privileged: bool, all: &mut Vec<String>) {
    let name = &mount.name;
    if mount.mount_propagation.as_deref() == Some("Bidirectional") {
        let why = if privileged {
            "containers' mounts never reach the node"
        } else {
            "only privileged containers may"
        };
        all.push(format!(
            "volumeMounts[{name}].mountPropagation: Bidirectional: {why}"
        ));
    }
}

/// The settings that stay inside the pod (kubelet, `pkg/kubelet/sysctl/safe_sysctls.go`).
pub(crate) fn is_safe_sysctl(name: &str) -> bool {
    matches!(
        name.replace('/', ".").as_str(),
        "kernel.shm_rmid_forced"
            | "net.ipv4.ip_local_port_range"
            | "net.ipv4.tcp_syncookies"
            | "net.ipv4.ping_group_range"
            | "net.ipv4.ip_unprivileged_port_start"
            | "net.ipv4.ip_local_reserved_ports"
            | "net.ipv4.tcp_keepalive_time"
            | "net.ipv4.tcp_fin_timeout"
            | "net.ipv4.tcp_keepalive_intvl"
            | "net.ipv4.tcp_keepalive_probes"
            | "net.ipv4.tcp_rmem"
            | "net.ipv4.tcp_wmem"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(pod: &serde_json::Value, container: &serde_json::Value) -> String {
        let mut container = container.clone();
        container["name"] = json!("c");
        let mut spec = pod.clone();
        spec["containers"] = json!([container]);
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let machine = MachineRights {
            capabilities: !(1 << 24),
            ..MachineRights::default()
        };
        let all = refusals(&pod, container, &machine);
        let fields: Vec<&str> = all
            .iter()
            .map(|text| text.split(": ").next().unwrap())
            .collect();
        fields.join(" ")
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        let cases = [
            (json!({}), json!({}), ""),
            (
                json!({"hostUsers": false, "runtimeClassName": "gvisor"}),
                json!({}),
                "spec.hostUsers spec.runtimeClassName",
            ),
            (
                json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
                json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
                "spec.securityContext.seccompProfile",
            ),
            (
                json!({"securityContext": {"sysctls": [
                    {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"},
                    {"name": "kernel.msgmax", "value": "1"},
                ]}}),
                json!({}),
                "spec.securityContext.sysctls",
            ),
            (
                json!({}),
                json!({"ports": [{"containerPort": 80, "hostPort": 80}]}),
                "ports.hostPort",
            ),
            (
                json!({"hostNetwork": true}),
                json!({"ports": [{"containerPort": 80, "hostPort": 80}]}),
                "",
            ),
            (
                json!({}),
                json!({"securityContext": {"capabilities": {"add": ["SYS_TIME", "SYS_RESOURCE", "NOPE"]}}}),
                "securityContext.capabilities.add securityContext.capabilities.add",
            ),
            (
                json!({}),
                json!({"stdin": true, "tty": true, "resources": {"limits": {"cpu": "1", "ephemeral-storage": "1Gi"}}}),
                "stdin tty resources.limits",
            ),
            (
                json!({}),
                json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}]}),
                "volumeMounts[v].mountPropagation",
            ),
        ];
        for (pod, container, expected) in cases {
            assert_eq!(found(&pod, &container), expected, "{pod} {container}");
        }
    }
}
