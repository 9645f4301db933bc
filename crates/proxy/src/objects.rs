//! Kubernetes' objects, cut down to what a proxy reads: most of an object (managed fields, specs
//! of other consumers) is skipped while it is decoded, which is what makes ten thousand cheap.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The part of `metadata` that matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<String>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let meta = Meta::deserialize(deserializer)?;
    let deleted = meta
        .deletion_timestamp
        .and_then(|time| time.parse::<jiff::Timestamp>().ok());
    Ok(ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        resource_version: meta.resource_version,
        labels: meta.labels,
        annotations: meta.annotations,
        deletion_timestamp: deleted.map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time),
        ..ObjectMeta::default()
    })
}

/// A list that may also be `null`.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// `metadata`.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// `spec`.
    pub spec: ServiceSpec,
    /// `status`.
    pub status: ServiceStatus,
}

/// A Service's `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct ServiceSpec {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "list")]
    pub cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "list")]
    pub external_ips: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub ports: Vec<ServicePort>,
    pub session_affinity: Option<String>,
    pub session_affinity_config: Option<SessionAffinityConfig>,
    pub external_traffic_policy: Option<String>,
    pub internal_traffic_policy: Option<String>,
    pub health_check_node_port: Option<u16>,
    #[serde(deserialize_with = "list")]
    pub load_balancer_source_ranges: Vec<String>,
}

/// An entry of `spec.ports`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct ServicePort {
    pub name: Option<String>,
    pub protocol: Option<String>,
    pub port: u16,
    pub node_port: Option<u16>,
}

/// `spec.sessionAffinityConfig`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SessionAffinityConfig {
    /// `clientIP`.
    #[serde(rename = "clientIP")]
    pub client_ip: Option<ClientIpConfig>,
}

/// `spec.sessionAffinityConfig.clientIP`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientIpConfig {
    /// `timeoutSeconds`.
    pub timeout_seconds: Option<u32>,
}

/// A Service's `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// `loadBalancer`.
    pub load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// `ingress`.
    #[serde(deserialize_with = "list")]
    pub ingress: Vec<Ingress>,
}

/// An entry of `status.loadBalancer.ingress`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct Ingress {
    pub ip: Option<String>,
    pub ip_mode: Option<String>,
}

/// An EndpointSlice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct EndpointSlice {
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    pub address_type: String,
    #[serde(deserialize_with = "list")]
    pub endpoints: Vec<Endpoint>,
    #[serde(deserialize_with = "list")]
    pub ports: Vec<EndpointPort>,
}

/// An entry of `endpoints`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct Endpoint {
    #[serde(deserialize_with = "list")]
    pub addresses: Vec<String>,
    pub conditions: Conditions,
    pub node_name: Option<String>,
    pub hints: Option<Hints>,
}

/// `conditions` of an endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct Conditions {
    pub ready: Option<bool>,
    pub serving: Option<bool>,
    pub terminating: Option<bool>,
}

/// `hints` of an endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct Hints {
    #[serde(deserialize_with = "list")]
    pub for_zones: Vec<Named>,
    #[serde(deserialize_with = "list")]
    pub for_nodes: Vec<Named>,
}

/// An object that is a name.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// An entry of an EndpointSlice's `ports`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct EndpointPort {
    pub name: Option<String>,
    pub protocol: Option<String>,
    pub port: Option<u16>,
}

/// A Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct Node {
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

/// A Node's `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// `taints`.
    #[serde(deserialize_with = "list")]
    pub taints: Vec<Taint>,
}

/// A taint, by its key.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Taint {
    /// `key`.
    pub key: String,
}

/// A Node's `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// `addresses`.
    #[serde(deserialize_with = "list")]
    pub addresses: Vec<NodeAddress>,
}

/// An entry of `status.addresses`.
#[derive(Debug, Clone, Default, Deserialize)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct NodeAddress {
    #[serde(rename = "type")]
    pub kind: String,
    pub address: String,
}

/// A ServiceCIDR.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are Kubernetes' own")]
pub struct ServiceCidr {
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    pub spec: ServiceCidrSpec,
}

/// A ServiceCIDR's `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceCidrSpec {
    /// `cidrs`.
    #[serde(deserialize_with = "list")]
    pub cidrs: Vec<String>,
}

macro_rules! resource {
    ($type:ty, $scope:ty, $group:literal, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Service, NamespaceResourceScope, "", "Service", "services");
resource!(
    EndpointSlice,
    NamespaceResourceScope,
    "discovery.k8s.io",
    "EndpointSlice",
    "endpointslices"
);
resource!(Node, ClusterResourceScope, "", "Node", "nodes");
resource!(
    ServiceCidr,
    ClusterResourceScope,
    "networking.k8s.io",
    "ServiceCIDR",
    "servicecidrs"
);
