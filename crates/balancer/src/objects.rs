//! From Kubernetes' objects to the [`Model`]: which Services are ours, and which nodes take part.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node as NodeObject, Service, ServicePort, ServiceSpec};

use crate::model::{Check, Frontend, Model, Node, Protocol, Way};

const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const LEAVING: &str = "ToBeDeletedByClusterAutoscaler";

/// The model of these objects. With pools, addresses outside them are another balancer's.
pub fn model<'a>(
    services: impl Iterator<Item = &'a Service>,
    nodes: impl Iterator<Item = &'a NodeObject>,
    pools: &[IpNet],
) -> Model {
    let mut frontends: Vec<Frontend> = services.flat_map(frontends).collect();
    frontends.retain(|f| pools.is_empty() || pools.iter().any(|pool| pool.contains(&f.address)));
    frontends.sort_by(|a, b| {
        let place = |f: &Frontend| (f.address, f.port, f.protocol);
        place(a)
            .cmp(&place(b))
            .then_with(|| a.service.cmp(&b.service))
    });
    // Two Services never hold one address and port; should it happen, the first keeps it.
    frontends.dedup_by_key(|f| (f.address, f.port, f.protocol));
    let mut nodes: Vec<Node> = nodes.filter_map(node).collect();
    nodes.sort();
    Model { frontends, nodes }
}

/// The frontends of a Service: each of its load-balancer addresses with each of its ports.
fn frontends(service: &Service) -> Vec<Frontend> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    // A class names another implementation; it, not we, serves the Service.
    if spec.type_.as_deref() != Some("LoadBalancer") || spec.load_balancer_class.is_some() {
        return Vec::new();
    }
    let status = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let ingress = status
        .and_then(|status| status.ingress.as_deref())
        .unwrap_or_default();
    let addresses = ingress
        .iter()
        .filter_map(|i| i.ip.as_deref()?.parse::<IpAddr>().ok());
    let name = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = format!(
        "{}/{}",
        name(&service.metadata.namespace),
        name(&service.metadata.name)
    );
    let ports = spec.ports.as_deref().unwrap_or_default();
    addresses
        .flat_map(|address| {
            let name = &name;
            ports
                .iter()
                .filter_map(move |port| frontend(name, address, spec, port))
        })
        .collect()
}

fn frontend(
    service: &str,
    address: IpAddr,
    spec: &ServiceSpec,
    port: &ServicePort,
) -> Option<Frontend> {
    Some(Frontend {
        service: service.to_owned(),
        address,
        port: u16::try_from(port.port).ok()?,
        protocol: match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        way: way(spec, port),
        source_ranges: source_ranges(spec, address),
        check: check(spec),
        affinity: has_affinity(spec),
    })
}

/// Packets are handed over where the client's address means something to the node, or where there is no
/// port to translate to.
fn way(spec: &ServiceSpec, port: &ServicePort) -> Way {
    let node_port = port.node_port.and_then(|port| u16::try_from(port).ok());
    match node_port.filter(|port| *port > 0) {
        Some(node_port) if !is_local(spec) && !has_affinity(spec) => Way::Translate { node_port },
        _ => Way::HandOver,
    }
}

fn is_local(spec: &ServiceSpec) -> bool {
    spec.external_traffic_policy.as_deref() == Some("Local")
}

fn has_affinity(spec: &ServiceSpec) -> bool {
    spec.session_affinity.as_deref() == Some("ClientIP")
}

/// The ranges of the address' family; none if one of them is everybody, or if all are of the other family
/// (then this family is not filtered, as kube-proxy has it).
fn source_ranges(spec: &ServiceSpec, address: IpAddr) -> Vec<IpNet> {
    let texts = spec
        .load_balancer_source_ranges
        .as_deref()
        .unwrap_or_default();
    let ranges = texts
        .iter()
        .filter_map(|text| text.trim().parse::<IpNet>().ok());
    let own = ranges.filter(|range| range.addr().is_ipv4() == address.is_ipv4());
    let own: Vec<IpNet> = own.map(|range| range.trunc()).collect();
    if own.iter().any(|range| range.prefix_len() == 0) {
        Vec::new()
    } else {
        own
    }
}

fn check(spec: &ServiceSpec) -> Check {
    let port = spec
        .health_check_node_port
        .and_then(|port| u16::try_from(port).ok());
    match port.filter(|port| is_local(spec) && *port > 0) {
        Some(port) => Check::Port(port),
        None => Check::Proxy,
    }
}

/// A node. Readiness does not count: the checks say whether it takes connections
/// (`cloud-provider/controllers/service`, `nodeExists` predicates).
fn node(object: &NodeObject) -> Option<Node> {
    let meta = &object.metadata;
    let label = meta.labels.as_ref().and_then(|labels| labels.get(EXCLUDED));
    let excluded = label.is_some_and(|value| {
        !matches!(
            value.as_str(),
            "false" | "0" | "False" | "FALSE" | "f" | "F"
        )
    });
    let taints = object
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default();
    let leaving = meta.deletion_timestamp.is_some() || taints.iter().any(|t| t.key == LEAVING);
    let addresses = object
        .status
        .as_ref()
        .and_then(|s| s.addresses.as_deref())
        .unwrap_or_default();
    let internal = addresses
        .iter()
        .filter(|address| address.type_ == "InternalIP");
    let addresses: Vec<IpAddr> = internal.filter_map(|a| a.address.parse().ok()).collect();
    (!addresses.is_empty()).then(|| Node {
        name: meta.name.clone().unwrap_or_default(),
        addresses,
        leaving: leaving || excluded,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: &Value) -> Service {
        let status = json!({"loadBalancer": {"ingress": [{"ip": "198.18.1.1"}]}});
        let object =
            json!({"metadata": {"name": "web", "namespace": "n"}, "spec": spec, "status": status});
        serde_json::from_value(object).expect("a Service")
    }

    fn one(spec: &Value) -> Option<Frontend> {
        let service = service(spec);
        model([&service].into_iter(), std::iter::empty(), &[])
            .frontends
            .pop()
    }

    #[test]
    fn a_service_with_an_address_has_frontends() {
        let ports = json!([{"port": 80, "nodePort": 30080, "protocol": "UDP"}]);
        let found = one(&json!({"type": "LoadBalancer", "ports": ports})).expect("one");
        assert_eq!(
            (found.port, found.way, found.protocol),
            (80, Way::Translate { node_port: 30080 }, Protocol::Udp)
        );
        assert_eq!(
            (found.service.as_str(), found.check),
            ("n/web", Check::Proxy)
        );
        for not_ours in [
            json!({"type": "NodePort", "ports": ports}),
            json!({"type": "LoadBalancer", "loadBalancerClass": "x.example/y", "ports": ports}),
        ] {
            assert_eq!(one(&not_ours), None, "{not_ours}");
        }
    }

    #[test]
    fn packets_are_handed_over_where_the_clients_address_matters() {
        let ports = json!([{"port": 80, "nodePort": 30080}]);
        for spec in [
            json!({"type": "LoadBalancer", "ports": ports, "externalTrafficPolicy": "Local"}),
            json!({"type": "LoadBalancer", "ports": ports, "sessionAffinity": "ClientIP"}),
            json!({"type": "LoadBalancer", "ports": [{"port": 80}]}),
        ] {
            assert_eq!(one(&spec).expect("one").way, Way::HandOver, "{spec}");
        }
    }

    #[test]
    fn a_range_of_everybody_or_only_of_the_other_family_filters_nothing() {
        let ports = json!([{"port": 80, "nodePort": 30080}]);
        let ranges = |ranges: Value| {
            let spec =
                json!({"type": "LoadBalancer", "ports": ports, "loadBalancerSourceRanges": ranges});
            one(&spec).expect("one").source_ranges
        };
        assert_eq!(
            ranges(json!(["10.0.0.0/8", "2001:db8::/32"])),
            ["10.0.0.0/8".parse().expect("a range")]
        );
        assert!(ranges(json!(["10.0.0.0/8", "0.0.0.0/0"])).is_empty());
        assert!(ranges(json!(["2001:db8::/32"])).is_empty());
    }

    #[test]
    fn local_policy_asks_the_health_check_node_port() {
        let ports = json!([{"port": 80, "nodePort": 30080}]);
        let local = json!({"type": "LoadBalancer", "ports": ports, "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000});
        assert_eq!(one(&local).expect("one").check, Check::Port(31000));
    }

    #[test]
    fn excluded_and_leaving_nodes_take_no_new_connections() {
        let leaving = |metadata: Value, spec: Value| -> bool {
            let status = json!({"addresses": [{"type": "InternalIP", "address": "198.18.0.11"}]});
            let object = json!({"metadata": metadata, "spec": spec, "status": status});
            let object: NodeObject = serde_json::from_value(object).expect("a Node");
            let nodes = model(std::iter::empty(), [&object].into_iter(), &[]).nodes;
            nodes[0].leaving
        };
        assert!(!leaving(json!({"name": "a"}), json!({})));
        for (value, excluded) in [("false", false), ("0", false), ("", true), ("true", true)] {
            let metadata = json!({"name": "a", "labels": {EXCLUDED: value}});
            assert_eq!(leaving(metadata, json!({})), excluded, "{value:?}");
        }
        let taint = json!({"taints": [{"key": LEAVING, "effect": "NoSchedule"}]});
        assert!(leaving(json!({"name": "a"}), taint));
    }

    #[test]
    fn addresses_outside_the_pools_are_somebody_elses() {
        let ports = json!([{"port": 80, "nodePort": 30080}]);
        let service = service(&json!({"type": "LoadBalancer", "ports": ports}));
        let held = |pool: &str| {
            let pools = [pool.parse().expect("a range")];
            model([&service].into_iter(), std::iter::empty(), &pools)
                .frontends
                .len()
        };
        assert_eq!((held("198.18.1.0/24"), held("198.18.2.0/24")), (1, 0));
    }
}
