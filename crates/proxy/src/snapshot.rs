//! Kubernetes' objects to plain values: which Services are proxied at all, and which endpoints
//! belong to which port. What follows from them is `forwarding`'s.

use crate::objects;
use forwarding::{Endpoint, Protocol, Service, ServiceName, ServicePort, TrafficPolicy};
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Hands a Service to another proxy, whatever its value.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// Marks what belongs to a headless Service.
const HEADLESS: &str = "service.kubernetes.io/headless";
/// Says which Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Three hours, as the API server defaults it.
const AFFINITY_SECONDS: u32 = 10800;

/// What is only reached through other proxies or none is left out already by the API server.
pub(crate) const SELECTOR: &str =
    "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";

/// A Service's name, from its own metadata.
pub fn service_name(service: &objects::Service) -> ServiceName {
    let meta = &service.metadata;
    ServiceName::new(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

/// The Service that a slice belongs to, if it is to be proxied.
pub fn service_of_slice(slice: &objects::EndpointSlice) -> Option<ServiceName> {
    let labels = slice.metadata.labels.as_ref()?;
    if labels.contains_key(HEADLESS) || !matches!(&*slice.address_type, "IPv4" | "IPv6") {
        return None;
    }
    let name = labels.get(SERVICE_NAME).filter(|name| !name.is_empty())?;
    Some(ServiceName::new(
        slice.metadata.namespace.as_deref().unwrap_or_default(),
        name,
    ))
}

/// A Service that is to be proxied, without endpoints; `None` for one that is not.
pub fn service(object: &objects::Service) -> Option<Service> {
    let spec = &object.spec;
    let labels = object.metadata.labels.as_ref();
    let elsewhere = labels
        .is_some_and(|labels| labels.contains_key(OTHER_PROXY) || labels.contains_key(HEADLESS));
    let cluster_ip = spec.cluster_ip.as_deref().unwrap_or_default();
    let is_alias = spec.kind.as_deref() == Some("ExternalName");
    if elsewhere || is_alias || cluster_ip.is_empty() || cluster_ip == "None" {
        return None;
    }
    let cluster_ips = match spec.cluster_ips.is_empty() {
        true => addresses([cluster_ip]),
        false => addresses(spec.cluster_ips.iter().map(String::as_str)),
    };
    Some(Service {
        cluster_ips,
        external_ips: addresses(spec.external_ips.iter().map(String::as_str)),
        load_balancer_ips: captured(&object.status.load_balancer),
        source_ranges: ranges(&spec.load_balancer_source_ranges),
        internal_policy: policy(spec.internal_traffic_policy.as_deref()),
        external_policy: policy(spec.external_traffic_policy.as_deref()),
        affinity_seconds: affinity(spec),
        ports: spec.ports.iter().filter_map(port).collect(),
    })
}

/// The port to serve a health check on, and only where external traffic stays local.
pub fn health_check_port(object: &objects::Service) -> Option<u16> {
    let local = object.spec.external_traffic_policy.as_deref() == Some("Local");
    object
        .spec
        .health_check_node_port
        .filter(|port| local && *port != 0)
}

/// One slice, decoded: ports in their order, and for each endpoint everything but the port.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    ports: Vec<(Arc<str>, Protocol, u16)>,
    endpoints: Vec<Endpoint>,
}

/// Decodes a slice. Ports without name or number are nobody's, and of an endpoint's addresses
/// only the first counts.
pub fn slice(object: &objects::EndpointSlice) -> Slice {
    let port = |port: &objects::EndpointPort| {
        let number = port.port.filter(|number| *number != 0)?;
        Some((
            port.name.as_deref()?.into(),
            protocol(port.protocol.as_deref())?,
            number,
        ))
    };
    let mut names = HashSet::new();
    Slice {
        ports: object.ports.iter().filter_map(port).collect(),
        endpoints: object
            .endpoints
            .iter()
            .filter_map(|e| endpoint(e, &mut names))
            .collect(),
    }
}

/// Joins slices to a Service's ports, by name and protocol: the Service's `targetPort` is not
/// consulted.
pub fn join<'a>(service: &mut Service, slices: &(impl Iterator<Item = &'a Slice> + Clone)) {
    for port in &mut service.ports {
        port.endpoints.clear();
        for slice in slices.clone() {
            let same = |(name, protocol, _): &&(Arc<str>, Protocol, u16)| {
                *name == port.name && *protocol == port.protocol
            };
            for (_, _, number) in slice.ports.iter().filter(same) {
                let endpoints = slice.endpoints.iter();
                port.endpoints.extend(endpoints.map(|e| Endpoint {
                    port: *number,
                    ..e.clone()
                }));
            }
        }
    }
}

fn endpoint(object: &objects::Endpoint, names: &mut HashSet<Arc<str>>) -> Option<Endpoint> {
    let mut shared = |name: &str| -> Arc<str> {
        names.get(name).cloned().unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            names.insert(Arc::clone(&name));
            name
        })
    };
    let conditions = &object.conditions;
    let hints = object.hints.as_ref();
    let mut list = |names: Option<&Vec<objects::Named>>| {
        names
            .into_iter()
            .flatten()
            .map(|named| shared(&named.name))
            .collect()
    };
    let zone_hints = list(hints.map(|hints| &hints.for_zones));
    let node_hints = list(hints.map(|hints| &hints.for_nodes));
    Some(Endpoint {
        address: object.addresses.first()?.parse().ok()?,
        port: 0,
        // What is not said is as for an endpoint that has always been there.
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        node: object.node_name.as_deref().map(shared),
        zone_hints,
        node_hints,
    })
}

fn port(port: &objects::ServicePort) -> Option<ServicePort> {
    Some(ServicePort {
        name: port.name.as_deref().unwrap_or_default().into(),
        protocol: protocol(port.protocol.as_deref())?,
        port: port.port,
        node_port: port.node_port.filter(|port| *port != 0),
        endpoints: Vec::new(),
    })
}

fn protocol(text: Option<&str>) -> Option<Protocol> {
    text.unwrap_or("TCP").parse().ok()
}

fn policy(text: Option<&str>) -> TrafficPolicy {
    if text == Some("Local") {
        TrafficPolicy::Local
    } else {
        TrafficPolicy::Cluster
    }
}

fn affinity(spec: &objects::ServiceSpec) -> Option<u32> {
    let config = spec.session_affinity_config.as_ref();
    let seconds = config.and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
    (spec.session_affinity.as_deref() == Some("ClientIP"))
        .then(|| seconds.unwrap_or(AFFINITY_SECONDS))
}

/// Only an address whose packets still carry it when they arrive: not one whose balancer says that
/// it replaces it (`ipMode: Proxy`), nor a host name.
fn captured(status: &objects::LoadBalancerStatus) -> Vec<IpAddr> {
    let ingress = status.ingress.iter();
    let vips = ingress.filter(|ingress| ingress.ip_mode.as_deref().unwrap_or("VIP") == "VIP");
    addresses(vips.filter_map(|ingress| ingress.ip.as_deref()))
}

fn addresses<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<IpAddr> {
    texts
        .into_iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

/// Users write spaces around ranges, and bits beyond the prefix.
pub(crate) fn ranges(texts: &[String]) -> Vec<IpNet> {
    let parsed = texts
        .iter()
        .filter_map(|text| text.trim().parse::<IpNet>().ok());
    parsed.map(|range| range.trunc()).collect()
}
