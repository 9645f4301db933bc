//! What a pod means where it says nothing (`apis/core/v1/defaults.go` and `zz_generated.defaults.go`).

mod container;
mod volume;

use serde_json::{Value, json};

pub(crate) use container::{aggregate, requests};

use crate::schema::quantity;
use crate::validation::json::{boolean, default, integer, list_mut, present, set, text};

/// The three lists of containers of a pod's spec.
pub(crate) const CONTAINERS: [&str; 3] = ["/containers", "/initContainers", "/ephemeralContainers"];

/// The defaults of a Pod: more than those of its spec, which templates have too.
pub(super) fn pod(pod: &mut Value) {
    status_ips(pod);
    let Some(spec) = pod.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    let host_network = boolean(spec, "/hostNetwork") == Some(true);
    for path in &CONTAINERS[..2] {
        for container in list_mut(spec, path) {
            requests_from_limits(&mut container["resources"]);
            if host_network {
                host_ports(container);
            }
        }
    }
    pod_level_requests(spec);
    default(spec, "enableServiceLinks", true);
    if integer(spec, "/terminationGracePeriodSeconds") < 0 {
        set(spec, "", "terminationGracePeriodSeconds", 1);
    }
    self::spec(spec);
}

/// The defaults of any pod spec.
pub(crate) fn spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "restartPolicy", "Always");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "schedulerName", "default-scheduler");
    service_account(spec);
    for volume in list_mut(spec, "/volumes") {
        volume::set_defaults(volume);
    }
    for path in CONTAINERS {
        for container in list_mut(spec, path) {
            container::set_defaults(container);
        }
    }
    for parent in ["/overhead", "/resources/limits", "/resources/requests"] {
        milli(spec.pointer_mut(parent));
    }
}

/// Quantities are kept to the thousandth (`SetDefaults_ResourceList`).
pub(crate) fn milli(resources: Option<&mut Value>) {
    for value in resources
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        let rounded = value.1.as_str().and_then(quantity::rounded_to_milli);
        if let Some(rounded) = rounded {
            *value.1 = rounded.into();
        }
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are shown.
fn service_account(spec: &mut Value) {
    let old = text(spec, "/serviceAccount").to_owned();
    if !old.is_empty() {
        default(spec, "serviceAccountName", old);
    }
    let name = text(spec, "/serviceAccountName").to_owned();
    if !name.is_empty() {
        set(spec, "", "serviceAccount", name);
    }
}

/// What is limited is requested too, unless the pod says how much of it.
fn requests_from_limits(resources: &mut Value) {
    let Some(limits) = resources["limits"].as_object().cloned() else {
        return;
    };
    for (name, limit) in limits {
        if resources["requests"][&name].is_null() {
            set(resources, "/requests", &name, limit);
        }
    }
}

fn host_ports(container: &mut Value) {
    for port in list_mut(container, "/ports") {
        if integer(port, "/hostPort") == 0 {
            let own = integer(port, "/containerPort");
            set(port, "", "hostPort", own);
        }
    }
}

/// Limits of the pod as a whole are requests too, where no container requests that resource.
fn pod_level_requests(spec: &mut Value) {
    if !present(spec, "/resources/limits") {
        return;
    }
    let sums = requests(spec);
    let limits = spec["resources"]["limits"].as_object().cloned();
    for (name, limit) in limits.unwrap_or_default() {
        let known = matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-");
        if known && spec["resources"]["requests"][&name].is_null() {
            let request = sums.get(&name).cloned().map_or(limit, Value::String);
            set(spec, "/resources/requests", &name, request);
        }
    }
}

/// `podIP` and the first of `podIPs` are one (`Convert_v1_PodStatus_To_core_PodStatus`).
fn status_ips(pod: &mut Value) {
    let first = text(pod, "/status/podIPs/0/ip").to_owned();
    match text(pod, "/status/podIP").to_owned() {
        ip if ip.is_empty() && !first.is_empty() => set(pod, "/status", "podIP", first),
        ip if !ip.is_empty() && ip != first => set(pod, "/status", "podIPs", json!([{"ip": ip}])),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
