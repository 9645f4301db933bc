//! One pod as one endpoint of a Service, and the ports it answers on.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::pods::is_ready;
use crate::services::{addresses, has_cluster_ip, hostname, publishes_not_ready};

/// An address family as slices name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }

    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::Ipv4
        } else {
            Self::Ipv6
        }
    }
}

/// The families of a Service. Those written before families were a field tell by their cluster IP.
pub(crate) fn families(service: &Service) -> Vec<Family> {
    let spec = service.spec.clone().unwrap_or_default();
    let named = spec.ip_families.unwrap_or_default();
    let known = named.iter().filter_map(|name| match name.as_str() {
        "IPv4" => Some(Family::Ipv4),
        "IPv6" => Some(Family::Ipv6),
        _ => None,
    });
    let families: Vec<_> = known.collect();
    if !families.is_empty() {
        return families;
    }
    let address = spec.cluster_ip.and_then(|ip| ip.parse().ok());
    address.map_or(vec![Family::Ipv4, Family::Ipv6], |ip| vec![Family::of(ip)])
}

/// A pod as an endpoint; `None` if it has no address of the family.
pub(super) fn endpoint(
    pod: &Pod,
    node: Option<&Node>,
    service: &Service,
    family: Family,
) -> Option<Endpoint> {
    let parsed = addresses(pod)
        .into_iter()
        .filter_map(|text| text.parse::<IpAddr>().ok());
    let of_family = parsed.filter(|address| Family::of(*address) == family);
    let addresses: Vec<_> = of_family.map(|address| address.to_string()).collect();
    if addresses.is_empty() {
        return None;
    }
    let serving = is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    Some(Endpoint {
        addresses,
        conditions: Some(EndpointConditions {
            ready: Some(publishes_not_ready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(pod, service),
        node_name: node_name.filter(|name| !name.is_empty()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        zone: node.and_then(zone),
        ..Endpoint::default()
    })
}

/// The zone that a node is labelled with.
pub(super) fn zone(node: &Node) -> Option<String> {
    let labels = node.metadata.labels.as_ref()?;
    labels
        .get("topology.kubernetes.io/zone")
        .filter(|zone| !zone.is_empty())
        .cloned()
}

/// The Service's ports as this pod serves them; those that it does not have are left out.
pub(super) fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ports.as_deref())
        .unwrap_or_default();
    if ports.is_empty() && !has_cluster_ip(service) {
        return Vec::new();
    }
    let resolved = ports.iter().filter_map(|port| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(target(port, pod)?),
            protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
            app_protocol: port.app_protocol.clone(),
        })
    });
    resolved.collect()
}

/// The container port behind a Service's port: the number itself, or the first port of that name and
/// protocol, in containers first and then in the init containers that keep running.
pub(crate) fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match port.target_port.as_ref() {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars =
        sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let mut containers = spec.containers.iter().chain(sidecars);
    containers.find_map(|container| port_of(container, name, protocol))
}

fn port_of(container: &Container, name: &str, protocol: &str) -> Option<i32> {
    let mut ports = container.ports.iter().flatten();
    let found = ports.find(|port| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    });
    found.map(|port| port.container_port)
}
