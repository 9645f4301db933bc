//! Gives each Node its range of pod addresses (upstream: node-ipam-controller, range allocator).
//!
//! The ranges in the Nodes' specs are the only record of what is given out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use crate::config::PodRange;
use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::recorder::Note;
use crate::write;

/// How soon a Node that got no range is looked at again.
const RETRY: Duration = Duration::from_secs(10);

/// Runs the controller; without ranges there is nothing to do.
pub(crate) async fn run(context: Context) {
    if context.config.pod_ranges.is_empty() {
        return;
    }
    let queue = Queue::new(Duration::from_millis(10));
    let to = queue.clone();
    context.caches.nodes().listen(move |_, new| {
        if let Some(node) = new.filter(|node| ranges_of(node).is_empty()) {
            to.add(Key::of(node));
        }
    });
    context.caches.nodes().ready().await;
    // One worker: two at a time might give the same range twice.
    queue.work("node-ipam", 1, |key| sync(&context, key)).await;
}

async fn sync(context: &Context, key: Key) -> Result<Again> {
    let cache = context.caches.nodes();
    let Some(node) = cache.get(&key).filter(|node| ranges_of(node).is_empty()) else {
        return Ok(None);
    };
    let taken = cache
        .all()
        .iter()
        .flat_map(|node| ranges_of(node))
        .collect();
    let Some(ranges) = plan(&context.config.pod_ranges, &taken) else {
        let text = format!("Node {key} status is now: CIDRNotAvailable");
        let recorder = context.recorder.named("cidrAllocator");
        recorder.note(&*node, Note::normal("CIDRNotAvailable", text));
        return Ok(Some(RETRY));
    };
    let patch = json!({
        "metadata": {"uid": node.metadata.uid},
        "spec": {"podCIDR": ranges.first(), "podCIDRs": ranges},
    });
    let written = write::patch(&context.cluster::<Node>(), &key, &patch).await?;
    cache.catch_up(&written).await;
    Ok(None)
}

fn ranges_of(node: &Node) -> Vec<IpNet> {
    let texts = node
        .spec
        .iter()
        .flat_map(|spec| spec.pod_cidrs.iter().flatten());
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// The lowest free piece of each range; `None` if one of them is used up.
fn plan(ranges: &[PodRange], taken: &BTreeSet<IpNet>) -> Option<Vec<IpNet>> {
    let pieces = ranges.iter().map(|range| free(range, taken));
    pieces.collect()
}

fn free(range: &PodRange, taken: &BTreeSet<IpNet>) -> Option<IpNet> {
    let overlaps = |piece: &IpNet| {
        taken
            .iter()
            .find(|other| contains(other, piece) || contains(piece, other))
            .copied()
    };
    let mut pieces = range.range.subnets(range.node_prefix).ok()?;
    pieces.find(|piece| overlaps(piece).is_none())
}

fn contains(outer: &IpNet, inner: &IpNet) -> bool {
    let first: IpAddr = inner.network();
    outer.contains(&first) && outer.prefix_len() <= inner.prefix_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_gets_the_lowest_free_piece_of_every_range() {
        let four = PodRange::new("10.244.0.0/16".parse().unwrap());
        let six = PodRange::new("fd00:244::/56".parse().unwrap());
        let tiny = PodRange::new("10.9.0.0/24".parse().unwrap());
        type Case<'a> = (&'a [PodRange], &'a [&'a str], Option<&'a [&'a str]>);
        let cases: &[Case<'_>] = &[
            (&[four], &[], Some(&["10.244.0.0/24"])),
            (
                &[four],
                &["10.244.0.0/24", "10.244.2.0/24"],
                Some(&["10.244.1.0/24"]),
            ),
            (&[four], &["10.244.0.0/23"], Some(&["10.244.2.0/24"])),
            (
                &[four, six],
                &["fd00:244::/64"],
                Some(&["10.244.0.0/24", "fd00:244:0:1::/64"]),
            ),
            (&[tiny], &["10.9.0.0/24"], None),
        ];
        for (ranges, taken, expected) in cases {
            let taken = taken.iter().map(|text| text.parse().unwrap()).collect();
            let given = plan(ranges, &taken);
            let given =
                given.map(|given| given.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(
                given,
                expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()),
                "{taken:?}"
            );
        }
    }
}
