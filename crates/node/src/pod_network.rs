//! A pod's network: one veth, made straight in the pod's namespace, routes both ways, nobody asks for
//! hardware addresses.
//!
//! ```text
//!  pod:  eth0  PodIP/32, PodIP/128     default via 169.254.1.1, fe80::1 (fixed neighbours)
//!         │
//!  node: podXXXXXXXXXXXX               PodIP/32 dev podXXXXXXXXXXXX (fixed neighbour)
//! ```
//!
//! No bridge and no address on the node's end: everything a pod sends is routed by the node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use jiff::Timestamp;
use kernel::netlink::{Mac, NetlinkError, Route, VethEnd};
use kernel::{NetNs, Netlink};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The pod's end.
const POD_LINK: &str = "eth0";

/// The pod's routers: addresses that exist nowhere but in its neighbour table.
const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The node's end of every veth; each is a link of its own, so they may share it.
const NODE_MAC: Mac = [0x02, 0x66, 0x77, 0, 0, 1];

/// A pod's place in the network, kept on disk as long as the pod's namespaces can last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attachment {
    /// When the namespaces were made.
    pub(crate) since: Timestamp,
    /// The node's end of the veth; empty for a pod on the node's own network.
    pub(crate) link: String,
    /// One address per family.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Attachment {
    /// The attachment of a pod with addresses of its own.
    pub(crate) fn new(uid: &str, addresses: Vec<IpAddr>, since: Timestamp) -> Self {
        let digits: String = uid
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        Self {
            since,
            link: format!("pod{digits}"),
            addresses,
        }
    }

    /// The attachment of a pod on the node's network.
    pub(crate) fn of_host(since: Timestamp) -> Self {
        Self {
            since,
            link: String::new(),
            addresses: Vec::new(),
        }
    }

    fn pod_mac(&self) -> Mac {
        let tail = match self.addresses.first() {
            Some(IpAddr::V4(address)) => address.octets(),
            Some(IpAddr::V6(address)) => {
                let octets = address.octets();
                [octets[12], octets[13], octets[14], octets[15]]
            }
            None => [0; 4],
        };
        [0x02, 0x66, tail[0], tail[1], tail[2], tail[3]]
    }
}

/// Connects a pod whose namespaces `supervisor` holds.
pub(crate) async fn attach(
    node: &Netlink,
    supervisor: u32,
    attachment: &Attachment,
) -> Result<(), Error> {
    let namespace = NetNs::of_process(supervisor)?;
    let pod = Netlink::in_namespace(&namespace)?;
    make_veth(node, &namespace, attachment).await?;
    tokio::try_join!(set_up_pod(&pod, attachment), route_to_pod(node, attachment))?;
    Ok(())
}

/// Takes the pod's link away, and with it routes and neighbours.
pub(crate) async fn detach(node: &Netlink, attachment: &Attachment) -> Result<(), Error> {
    if !attachment.link.is_empty() {
        node.delete_link(&attachment.link).await?;
    }
    Ok(())
}

/// The node's side again, for a pod that lived through the agent's restart.
pub(crate) async fn restore(node: &Netlink, attachment: &Attachment) -> Result<(), Error> {
    if !attachment.link.is_empty() {
        route_to_pod(node, attachment).await?;
    }
    Ok(())
}

async fn make_veth(
    node: &Netlink,
    namespace: &NetNs,
    attachment: &Attachment,
) -> Result<(), NetlinkError> {
    let mut near = VethEnd::named(&attachment.link);
    near.mac = Some(NODE_MAC);
    let mut far = VethEnd::named(POD_LINK);
    far.mac = Some(attachment.pod_mac());
    match node.add_veth(&near, &far, namespace).await {
        // Left behind by a pod whose agent died between making and removing it.
        Err(error) if error.errno() == Some(EEXIST) => {
            node.delete_link(&attachment.link).await?;
            node.add_veth(&near, &far, namespace).await
        }
        other => other,
    }
}

/// "File exists", from errno(3).
const EEXIST: i32 = 17;

async fn set_up_pod(pod: &Netlink, attachment: &Attachment) -> Result<(), NetlinkError> {
    let loopback = pod.link("lo").await?;
    pod.set_up(loopback.index, true).await?;
    let link = pod.link(POD_LINK).await?;
    pod.set_up(link.index, true).await?;
    for address in &attachment.addresses {
        pod.set_address(link.index, IpNet::from(*address)).await?;
        let router = router_for(*address);
        pod.set_neighbour(link.index, router, NODE_MAC).await?;
        let mut default = Route::default_via(router, link.index);
        default.onlink = true;
        pod.set_route(&default).await?;
    }
    Ok(())
}

async fn route_to_pod(node: &Netlink, attachment: &Attachment) -> Result<(), NetlinkError> {
    let link = node.link(&attachment.link).await?;
    for address in &attachment.addresses {
        node.set_neighbour(link.index, *address, attachment.pod_mac())
            .await?;
        node.set_route(&Route::on_link(IpNet::from(*address), link.index))
            .await?;
    }
    Ok(())
}

fn router_for(address: IpAddr) -> IpAddr {
    if address.is_ipv4() {
        ROUTER_V4.into()
    } else {
        ROUTER_V6.into()
    }
}

/// Settings of a pod's network namespace, written by its supervisor before the veth exists.
///
/// Ports below 1024 are open to all, as container runtimes have it; addresses need no detection of
/// duplicates, for the node gives them out alone, and without it they serve at once.
pub(crate) fn sysctls() -> Vec<(String, String)> {
    [
        ("net.ipv4.ip_unprivileged_port_start", "0"),
        ("net.ipv4.ping_group_range", "0 2147483647"),
        ("net.ipv6.conf.default.accept_ra", "0"),
        ("net.ipv6.conf.default.accept_dad", "0"),
        ("net.ipv6.conf.default.disable_ipv6", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_a_link_and_macs_are_local() {
        let uid = "0b7f6c1e-5d55-4e0b-9d6e-4d3a3b1f1a11";
        let addresses = vec!["10.244.1.7".parse().unwrap()];
        let attachment = Attachment::new(uid, addresses, Timestamp::UNIX_EPOCH);
        assert_eq!(attachment.link, "pod0b7f6c1e5d55");
        assert!(attachment.link.len() <= 15);
        assert_eq!(attachment.pod_mac(), [0x02, 0x66, 10, 244, 1, 7]);
    }
}
