//! The node's place among nodes: its pod ranges, routes to the others' pods, and what is masqueraded.
//!
//! All of it follows from the Node objects ([`plan`], pure); [`follow`] carries it out when they change.

mod masquerade;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use kernel::netlink::Route;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::error::Error;

/// After a failure to set routes or the table.
const RETRY: Duration = Duration::from_secs(1);

/// What this node's network should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Network {
    /// Ranges of this node's own pods.
    own_ranges: Vec<IpNet>,
    /// Other nodes' pod ranges, and the address each is behind.
    routes: BTreeMap<IpNet, IpAddr>,
    /// What pods reach as themselves: all pods and all nodes.
    cluster: BTreeSet<IpNet>,
}

/// What follows from the Node objects for the node called `name`.
pub(crate) fn plan<'a>(name: &str, nodes: impl Iterator<Item = &'a Node>) -> Network {
    let mut network = Network::default();
    for node in nodes {
        let ranges = ranges(node);
        let addresses = addresses(node);
        network.cluster.extend(ranges.iter().copied());
        network
            .cluster
            .extend(addresses.iter().map(|address| IpNet::from(*address)));
        if node.metadata.name.as_deref() == Some(name) {
            network.own_ranges = ranges;
            continue;
        }
        for range in ranges {
            let same_family = |address: &&IpAddr| address.is_ipv4() == range.addr().is_ipv4();
            if let Some(via) = addresses.iter().find(same_family) {
                network.routes.insert(range, *via);
            }
        }
    }
    network
}

fn ranges(node: &Node) -> Vec<IpNet> {
    let Some(spec) = &node.spec else {
        return Vec::new();
    };
    let several = spec.pod_cidrs.iter().flatten();
    let mut ranges: Vec<IpNet> = several.filter_map(|range| range.parse().ok()).collect();
    if ranges.is_empty() {
        ranges.extend(
            spec.pod_cidr
                .iter()
                .filter_map(|range| range.parse::<IpNet>().ok()),
        );
    }
    ranges
}

fn addresses(node: &Node) -> Vec<IpAddr> {
    let addresses = node
        .status
        .iter()
        .flat_map(|status| status.addresses.iter().flatten());
    addresses
        .filter(|address| address.type_ == "InternalIP")
        .filter_map(|address| address.address.parse().ok())
        .collect()
}

/// Follows the Node objects for ever and shares this node's own.
pub(crate) async fn follow(context: Arc<Context>, own: watch::Sender<Option<Arc<Node>>>) {
    let api: Api<Node> = Api::all(context.config.client.clone());
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(stream);
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    let mut incoming: Option<BTreeMap<String, Node>> = None;
    let mut done = Network::default();
    let mut retry_at: Option<Instant> = None;
    loop {
        let pause = retry_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            event = stream.next() => match event {
                Some(Ok(event)) => take(event, &mut nodes, &mut incoming),
                Some(Err(error)) => tracing::debug!(%error, "watching nodes"),
                None => return,
            },
            () = sleep_until(pause) => {}
        }
        if incoming.is_some() {
            continue;
        }
        share(&own, nodes.get(&context.config.node_name));
        let wanted = plan(&context.config.node_name, nodes.values());
        context.addresses().set_ranges(&wanted.own_ranges);
        retry_at = None;
        if wanted != done {
            match carry_out(&context, &done, &wanted).await {
                Ok(()) => done = wanted,
                Err(error) => {
                    tracing::warn!(%error, "the node's network is not complete");
                    retry_at = Some(Instant::now() + RETRY);
                }
            }
        }
    }
}

fn take(
    event: watcher::Event<Node>,
    nodes: &mut BTreeMap<String, Node>,
    incoming: &mut Option<BTreeMap<String, Node>>,
) {
    let name = |node: &Node| node.metadata.name.clone().unwrap_or_default();
    match event {
        watcher::Event::Init => *incoming = Some(BTreeMap::new()),
        watcher::Event::InitApply(node) => {
            incoming
                .get_or_insert_default()
                .insert(name(&node), slim(node));
        }
        watcher::Event::InitDone => *nodes = incoming.take().unwrap_or_default(),
        watcher::Event::Apply(node) => drop(nodes.insert(name(&node), slim(node))),
        watcher::Event::Delete(node) => drop(nodes.remove(&name(&node))),
    }
}

/// What nobody here reads is not kept.
fn slim(mut node: Node) -> Node {
    node.metadata.managed_fields = None;
    node
}

fn share(own: &watch::Sender<Option<Arc<Node>>>, node: Option<&Node>) {
    own.send_if_modified(|known| {
        let same = known.as_deref() == node;
        if !same {
            *known = node.cloned().map(Arc::new);
        }
        !same
    });
}

async fn carry_out(context: &Context, before: &Network, wanted: &Network) -> Result<(), Error> {
    let netlink = &context.netlink;
    let link = netlink.link(&context.config.link).await?.index;
    for (range, via) in &before.routes {
        if !wanted.routes.contains_key(range) {
            netlink
                .delete_route(&Route::via(*range, *via, link))
                .await?;
        }
    }
    for (range, via) in &wanted.routes {
        if before.routes.get(range) != Some(via) {
            netlink.set_route(&Route::via(*range, *via, link)).await?;
        }
    }
    if (&before.cluster, &before.own_ranges) != (&wanted.cluster, &wanted.own_ranges) {
        let text = masquerade::table(&wanted.own_ranges, &wanted.cluster);
        let loaded = tokio::task::spawn_blocking(move || kernel::nft::load(&text)).await;
        loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(name: &str, ranges: &[&str], addresses: &[&str]) -> Node {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|address| json!({"type": "InternalIP", "address": address}))
            .collect();
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"podCIDR": ranges.first(), "podCIDRs": ranges},
            "status": {"addresses": addresses},
        }))
        .unwrap()
    }

    #[test]
    fn other_nodes_pods_are_behind_their_nodes() {
        let nodes = [
            node(
                "a",
                &["10.244.0.0/24", "fd00:0::/64"],
                &["198.18.0.2", "fd46::2"],
            ),
            node(
                "b",
                &["10.244.1.0/24", "fd00:1::/64"],
                &["198.18.0.3", "fd46::3"],
            ),
            node("c", &["10.244.2.0/24", "fd00:2::/64"], &["198.18.0.4"]),
            node("d", &[], &["198.18.0.5"]),
        ];
        let network = plan("a", nodes.iter());
        let own: Vec<String> = network.own_ranges.iter().map(ToString::to_string).collect();
        assert_eq!(own, ["10.244.0.0/24", "fd00::/64"]);
        let routes: Vec<String> = network
            .routes
            .iter()
            .map(|(range, via)| format!("{range} via {via}"))
            .collect();
        let expected = [
            "10.244.1.0/24 via 198.18.0.3",
            "10.244.2.0/24 via 198.18.0.4",
            "fd00:1::/64 via fd46::3",
        ];
        assert_eq!(
            routes, expected,
            "no route without an address of its family"
        );
        assert_eq!(network.cluster.len(), 12);
    }
}
