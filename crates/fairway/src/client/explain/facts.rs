//! What is known of a Service: the objects that decide where its packets go.

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{Event, Node, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client};

use super::dials::Failed;

/// The objects around one Service.
pub(super) struct Facts {
    pub(super) service: Service,
    pub(super) slices: Vec<EndpointSlice>,
    /// All pods of the namespace: what the selector misses tells as much as what it matches.
    pub(super) pods: Vec<Pod>,
    pub(super) nodes: Vec<Node>,
    /// Events that regard the Service, oldest first.
    pub(super) events: Vec<Event>,
    /// Ready endpoints that did not accept a connection, where they could be dialled.
    pub(super) failed_dials: Vec<Failed>,
}

/// One endpoint as a proxy sees it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) address: String,
    pub(super) port: i32,
    pub(super) node: String,
    pub(super) pod: String,
    pub(super) ready: bool,
    pub(super) serving: bool,
    pub(super) terminating: bool,
}

impl Facts {
    pub(super) fn name(&self) -> &str {
        self.service.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.service
            .metadata
            .namespace
            .as_deref()
            .unwrap_or_default()
    }

    pub(super) fn spec(&self) -> ServiceSpec {
        self.service.spec.clone().unwrap_or_default()
    }

    pub(super) fn kind(&self) -> String {
        self.spec().type_.unwrap_or_else(|| "ClusterIP".to_owned())
    }

    /// The load balancer's addresses that the status names.
    pub(super) fn ingress(&self) -> Vec<String> {
        let status = self
            .service
            .status
            .as_ref()
            .and_then(|s| s.load_balancer.as_ref());
        let ingress = status.and_then(|l| l.ingress.clone()).unwrap_or_default();
        ingress
            .into_iter()
            .filter_map(|i| i.ip.or(i.hostname))
            .collect()
    }

    /// `name address` of each node that has an internal address of the family.
    pub(super) fn node_addresses(&self, ipv6: bool) -> Vec<(String, String)> {
        let of = |node: &Node| {
            let name = node.metadata.name.clone().unwrap_or_default();
            let addresses = node.status.as_ref().and_then(|s| s.addresses.clone());
            let mut internal = addresses.unwrap_or_default().into_iter();
            let internal =
                internal.find(|a| a.type_ == "InternalIP" && is_ipv6(&a.address) == ipv6)?;
            Some((name, internal.address))
        };
        self.nodes.iter().filter_map(of).collect()
    }

    /// The families that the Service has, as `whether it is IPv6`.
    pub(super) fn families(&self) -> Vec<bool> {
        let families = self.spec().ip_families.unwrap_or_default();
        families.iter().map(|family| family == "IPv6").collect()
    }

    /// Whether a node has an endpoint of its own that takes connections.
    pub(super) fn is_local(&self, port: &ServicePort, node: &str) -> bool {
        self.usable(port)
            .iter()
            .any(|endpoint| endpoint.node == node)
    }

    /// The endpoints that get connections: the ready ones, else those that serve on while they end.
    pub(super) fn usable(&self, port: &ServicePort) -> Vec<Endpoint> {
        let all = self.endpoints(port);
        let ready: Vec<_> = all
            .iter()
            .filter(|endpoint| endpoint.ready)
            .cloned()
            .collect();
        if !ready.is_empty() {
            return ready;
        }
        all.into_iter()
            .filter(|endpoint| endpoint.serving && endpoint.terminating)
            .collect()
    }

    /// Whether the load balancer hands packets over as they are, instead of translating them.
    pub(super) fn handed_over(&self, port: &ServicePort) -> bool {
        let spec = self.spec();
        spec.external_traffic_policy.as_deref() == Some("Local")
            || spec.session_affinity.as_deref() == Some("ClientIP")
            || port.node_port.is_none_or(|number| number == 0)
    }

    /// The endpoints of a port: joined by the port's name, as every proxy does it.
    pub(super) fn endpoints(&self, port: &ServicePort) -> Vec<Endpoint> {
        let mut found = Vec::new();
        for slice in &self.slices {
            for slice_port in slice.ports.iter().flatten() {
                let same_name = slice_port.name.clone().unwrap_or_default()
                    == port.name.clone().unwrap_or_default();
                let (Some(number), true) = (slice_port.port, same_name) else {
                    continue;
                };
                found.extend(slice.endpoints.iter().flatten().map(|endpoint| {
                    let conditions = endpoint.conditions.clone().unwrap_or_default();
                    let target = endpoint.target_ref.clone().unwrap_or_default();
                    Endpoint {
                        address: endpoint.addresses.first().cloned().unwrap_or_default(),
                        port: number,
                        node: endpoint.node_name.clone().unwrap_or_default(),
                        pod: target.name.unwrap_or_default(),
                        ready: conditions.ready.unwrap_or(true),
                        serving: conditions.serving.unwrap_or(true),
                        terminating: conditions.terminating.unwrap_or(false),
                    }
                }));
            }
        }
        found
    }

    /// The pods that the selector matches; none where there is no selector.
    pub(super) fn selected(&self) -> Vec<&Pod> {
        let selector = self.spec().selector.unwrap_or_default();
        let fits = |pod: &&Pod| {
            let labels = pod.metadata.labels.clone().unwrap_or_default();
            !selector.is_empty() && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
        };
        self.pods.iter().filter(fits).collect()
    }
}

/// Whether an address is of the newer family.
pub(super) fn is_ipv6(address: &str) -> bool {
    address.contains(':')
}

/// A port's target as text: a number, or a container port's name.
pub(super) fn target(port: &ServicePort) -> String {
    match &port.target_port {
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(name)) => name.clone(),
        None => port.port.to_string(),
    }
}

/// Asks the API for all of it.
pub(super) async fn gather(client: &Client, namespace: &str, name: &str) -> Result<Facts> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let Some(service) = services.get_opt(name).await? else {
        return missing(client, namespace, name).await;
    };
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let nodes: Api<Node> = Api::all(client.clone());
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let own = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let regarding = format!("involvedObject.kind=Service,involvedObject.name={name}");
    let mut events = events
        .list(&ListParams::default().fields(&regarding))
        .await?
        .items;
    events.sort_by_key(|event| event.last_timestamp.clone().map(|time| time.0));
    Ok(Facts {
        service,
        slices: slices.list(&own).await?.items,
        pods: pods.list(&ListParams::default()).await?.items,
        nodes: nodes.list(&ListParams::default()).await?.items,
        events,
        failed_dials: Vec::new(),
    })
}

async fn missing(client: &Client, namespace: &str, name: &str) -> Result<Facts> {
    let all: Api<Service> = Api::all(client.clone());
    let elsewhere = all
        .list(&ListParams::default().fields(&format!("metadata.name={name}")))
        .await?;
    let places: Vec<String> = elsewhere
        .items
        .into_iter()
        .filter_map(|s| s.metadata.namespace)
        .collect();
    if places.is_empty() {
        bail!("there is no Service \"{name}\" in any namespace");
    }
    bail!(
        "there is no Service \"{name}\" in namespace {namespace}, but in {}: say `-n {}`",
        places.join(", "),
        places[0]
    )
}
