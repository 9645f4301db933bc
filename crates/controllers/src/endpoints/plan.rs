//! Which Endpoints object a Service is to have.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, ObjectReference, Pod, Service,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::endpoint_slices::endpoint::{Family, families, target};
use crate::endpoint_slices::plan::{HEADLESS_LABEL, set_trigger};
use crate::endpoints::subsets::{repack, truncate};
use crate::pods::{is_ready, is_terminal};
use crate::selector::Labels;
use crate::services::{addresses, has_cluster_ip, hostname, publishes_not_ready};

const MANAGED_BY_LABEL: &str = "endpoints.kubernetes.io/managed-by";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// The object to be written, or `None` if the current one is right.
pub(super) fn plan(
    service: &Service,
    pods: &[Arc<Pod>],
    current: Option<&Endpoints>,
    trigger: Option<&String>,
) -> Option<Endpoints> {
    let mut subsets = subsets(service, pods);
    let truncated = truncate(&mut subsets);
    let wanted = labels(service);
    if let Some(current) = current {
        let had = repack(current.subsets.as_deref().unwrap_or_default());
        if had == subsets && current.metadata.labels.as_ref() == Some(&wanted) {
            return None;
        }
    }
    let mut endpoints = current.cloned().unwrap_or_else(|| Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        subsets: None,
    });
    endpoints.subsets = Some(subsets).filter(|subsets| !subsets.is_empty());
    endpoints.metadata.labels = Some(wanted);
    set_trigger(&mut endpoints.metadata, trigger);
    let annotations = endpoints
        .metadata
        .annotations
        .get_or_insert_with(BTreeMap::new);
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else {
        annotations.remove(OVER_CAPACITY);
    }
    Some(endpoints)
}

fn labels(service: &Service) -> Labels {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS_LABEL);
    if !has_cluster_ip(service) {
        labels.insert(HEADLESS_LABEL.to_owned(), String::new());
    }
    labels.insert(
        MANAGED_BY_LABEL.to_owned(),
        "endpoint-controller".to_owned(),
    );
    labels
}

fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let family = families(service).into_iter().next().unwrap_or(Family::Ipv4);
    let ports = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ports.as_deref())
        .unwrap_or_default();
    let mut subsets = Vec::new();
    for pod in pods.iter().filter(|pod| has_place(pod, service)) {
        let Some(address) = address(pod, service, family) else {
            continue;
        };
        let ready = publishes_not_ready(service) || is_ready(pod);
        if ports.is_empty() && !has_cluster_ip(service) {
            subsets.push(subset(address.clone(), ready, None));
        }
        for port in ports {
            let Some(number) = target(port, pod) else {
                continue;
            };
            let port = EndpointPort {
                name: port.name.clone().filter(|name| !name.is_empty()),
                port: number,
                protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                app_protocol: port.app_protocol.clone(),
            };
            subsets.push(subset(address.clone(), ready, Some(port)));
        }
    }
    repack(&subsets)
}

fn has_place(pod: &Pod, service: &Service) -> bool {
    let leaves = pod.metadata.deletion_timestamp.is_some() && !publishes_not_ready(service);
    !is_terminal(pod) && !addresses(pod).is_empty() && !leaves
}

fn address(pod: &Pod, service: &Service, family: Family) -> Option<EndpointAddress> {
    let mut parsed = addresses(pod)
        .into_iter()
        .filter_map(|text| text.parse::<IpAddr>().ok());
    let ip = parsed.find(|address| Family::of(*address) == family)?;
    Some(EndpointAddress {
        ip: ip.to_string(),
        hostname: hostname(pod, service),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
    })
}

fn subset(address: EndpointAddress, ready: bool, port: Option<EndpointPort>) -> EndpointSubset {
    let (addresses, not_ready) = if ready {
        (Some(vec![address]), None)
    } else {
        (None, Some(vec![address]))
    };
    EndpointSubset {
        addresses,
        not_ready_addresses: not_ready,
        ports: port.map(|port| vec![port]),
    }
}
