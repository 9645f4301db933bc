//! The Node object as this node writes it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::config::Config;
use crate::context::Context;

/// Kubernetes' version whose node this one behaves like.
const KUBELET_VERSION: &str = concat!("v1.36.0-fairway.", env!("CARGO_PKG_VERSION"));

/// kubelet's default for `maxPods`.
const MOST_PODS: &str = "110";

/// A new Node.
pub(super) fn node(context: &Context, now: Timestamp) -> Node {
    let mut node = Node {
        metadata: ObjectMeta {
            name: Some(context.config.node_name.clone()),
            ..ObjectMeta::default()
        },
        ..Node::default()
    };
    add_labels(&mut node, &context.config);
    node.status = Some(status(context, &node, now));
    node
}

/// Sets the labels that a node has; says whether any was missing or different.
pub(super) fn add_labels(node: &mut Node, config: &Config) -> bool {
    let architecture = architecture();
    let usual = [
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture),
    ];
    let own = config
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let labels = node.metadata.labels.get_or_insert_default();
    let mut changed = false;
    for (key, value) in usual.into_iter().chain(own) {
        let before = labels.insert(key.to_owned(), value.to_owned());
        changed |= before.as_deref() != Some(value);
    }
    changed
}

/// Whether the status differs in more than its heartbeats.
pub(super) fn has_news(context: &Context, node: &Node, now: Timestamp) -> bool {
    let mut known = node.status.clone().unwrap_or_default();
    let mut new = status(context, node, now);
    for status in [&mut known, &mut new] {
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
    }
    known != new
}

/// The status to report; what others have set stays.
pub(super) fn status(context: &Context, node: &Node, now: Timestamp) -> NodeStatus {
    let machine = &context.machine;
    let quantities = |list: [(&str, String); 4]| -> BTreeMap<String, Quantity> {
        list.into_iter()
            .map(|(name, value)| (name.to_owned(), Quantity(value)))
            .collect()
    };
    let resources = quantities([
        ("cpu", machine.processors.to_string()),
        ("memory", format!("{}Ki", machine.memory_bytes / 1024)),
        ("pods", MOST_PODS.to_owned()),
        (
            "ephemeral-storage",
            format!("{}Ki", machine.disk_bytes / 1024),
        ),
    ]);
    let mut status = node.status.clone().unwrap_or_default();
    status.capacity = Some(resources.clone());
    status.allocatable = Some(resources);
    status.addresses = Some(addresses(&context.config));
    status.conditions = Some(conditions(node, now));
    status.daemon_endpoints = Some(NodeDaemonEndpoints {
        kubelet_endpoint: Some(DaemonEndpoint {
            port: context.config.log_port.into(),
        }),
    });
    status.node_info = Some(info(context));
    status.images = Some(images(context));
    status
}

fn addresses(config: &Config) -> Vec<NodeAddress> {
    let of = |kind: &str, address: String| NodeAddress {
        type_: kind.to_owned(),
        address,
    };
    let internal = config
        .addresses
        .iter()
        .map(|address| of("InternalIP", address.to_string()));
    internal
        .chain([of("Hostname", config.node_name.clone())])
        .collect()
}

fn conditions(node: &Node, now: Timestamp) -> Vec<NodeCondition> {
    let known = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref());
    let known = known.unwrap_or_default();
    let has_range = node
        .spec
        .as_ref()
        .is_some_and(|spec| spec.pod_cidr.is_some());
    let ready = if has_range {
        (
            "Ready",
            "True",
            "KubeletReady",
            "kubelet is posting ready status",
        )
    } else {
        (
            "Ready",
            "False",
            "NetworkNotReady",
            "the node has no pod range (spec.podCIDR) yet",
        )
    };
    let own = [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        (
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure",
        ),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
        ready,
    ];
    let foreign = known
        .iter()
        .filter(|condition| own.iter().all(|new| new.0 != condition.type_));
    let condition = |(kind, status, reason, message): (&str, &str, &str, &str)| {
        let same = known
            .iter()
            .find(|known| known.type_ == kind && known.status == status);
        let since = same.and_then(|known| known.last_transition_time.clone());
        NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: since.or(Some(Time(now))),
        }
    };
    own.into_iter()
        .map(condition)
        .chain(foreign.cloned())
        .collect()
}

fn info(context: &Context) -> NodeSystemInfo {
    let machine = &context.machine;
    NodeSystemInfo {
        architecture: architecture().to_owned(),
        boot_id: machine.boot_id.clone(),
        container_runtime_version: concat!("fairway://", env!("CARGO_PKG_VERSION")).to_owned(),
        kernel_version: machine.kernel_version.clone(),
        kube_proxy_version: String::new(),
        kubelet_version: KUBELET_VERSION.to_owned(),
        machine_id: machine.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: machine.system_name.clone(),
        system_uuid: machine.machine_id.clone(),
        ..NodeSystemInfo::default()
    }
}

fn images(context: &Context) -> Vec<ContainerImage> {
    let all = context.images.all().unwrap_or_default();
    let image = |(name, image): (String, crate::image::Image)| ContainerImage {
        names: Some(vec![image.id, name]),
        size_bytes: Some(image.size),
    };
    all.into_iter().map(image).collect()
}

/// The machine's architecture by Go's name, as Kubernetes has it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
