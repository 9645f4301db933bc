//! The node itself: what the API says of it and what the kernel says, as `forwarding` wants it.

use crate::config::{Config, NodePortAddresses};
use crate::objects;
use forwarding::Node;
use ipnet::IpNet;
use std::net::IpAddr;

const ZONE: &str = "topology.kubernetes.io/zone";
/// The cluster autoscaler sets this on a node that it is about to remove.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// The part of the settings that describes the node.
pub(crate) struct NodeConfig {
    name: String,
    cluster_cidrs: Vec<IpNet>,
    node_port_addresses: NodePortAddresses,
    masquerade_all: bool,
}

impl NodeConfig {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            name: config.node_name.clone(),
            cluster_cidrs: config.cluster_cidrs.clone(),
            node_port_addresses: config.node_port_addresses.clone(),
            masquerade_all: config.masquerade_all,
        }
    }

    /// The node with these addresses in its kernel and these ranges of cluster IPs.
    pub(crate) fn node(
        &self,
        object: Option<&objects::Node>,
        local: &[IpAddr],
        service_cidrs: Vec<IpNet>,
    ) -> Node {
        let labels = object.and_then(|node| node.metadata.labels.as_ref());
        let zone = labels
            .and_then(|labels| labels.get(ZONE))
            .filter(|zone| !zone.is_empty());
        let primary = object.map(primary_addresses).unwrap_or_default();
        Node {
            name: self.name.as_str().into(),
            zone: zone.map(|zone| zone.as_str().into()),
            node_port_addresses: self.node_port_addresses.choose(&primary, local),
            local_addresses: local.to_vec(),
            local_cidrs: self.cluster_cidrs.clone(),
            masquerade_all: self.masquerade_all,
            service_cidrs,
        }
    }
}

/// The first internal address of each family, or else the first external one.
pub(crate) fn primary_addresses(node: &objects::Node) -> Vec<IpAddr> {
    let of_kind = |kind: &'static str| {
        let addresses = node
            .status
            .addresses
            .iter()
            .filter(move |address| address.kind == kind);
        addresses.filter_map(|address| address.address.parse::<IpAddr>().ok())
    };
    let all: Vec<IpAddr> = of_kind("InternalIP").chain(of_kind("ExternalIP")).collect();
    let first = |v4: bool| all.iter().copied().find(|address| address.is_ipv4() == v4);
    [first(true), first(false)].into_iter().flatten().collect()
}

/// Whether load balancers should still send traffic here: the Node is there and stays.
pub(crate) fn is_eligible(node: Option<&objects::Node>) -> bool {
    node.is_some_and(|node| {
        let leaving = node
            .spec
            .taints
            .iter()
            .any(|taint| taint.key == TO_BE_DELETED);
        node.metadata.deletion_timestamp.is_none() && !leaving
    })
}

/// Every address in the kernel of this network namespace, sorted.
pub(crate) async fn local_addresses() -> Result<Vec<IpAddr>, kernel::netlink::NetlinkError> {
    let netlink = kernel::Netlink::here()?;
    let addresses = netlink.all_addresses().await?;
    let mut addresses: Vec<IpAddr> = addresses.iter().map(|(_, net)| net.addr()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
