//! Deletes pods from nodes whose taints they do not tolerate, or no longer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};

use crate::caches::node_word;
use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::pods::node;
use crate::queue::{Again, Queue};
use crate::recorder::{Note, Recorder};
use crate::scheduler::tolerates;
use crate::time::left;
use crate::write;

/// Runs the part.
pub(super) async fn run(context: &Context, recorder: &Recorder) {
    let queue = Queue::new(Duration::from_millis(50));
    let (to, weak) = (queue.clone(), Arc::downgrade(&context.caches));
    context.caches.nodes().listen(move |old, new| {
        let before = old.map(evicting).unwrap_or_default();
        let Some(node) = new.filter(|node| evicting(node) != before) else {
            return;
        };
        if let Some(caches) = weak.upgrade() {
            let pods = caches.pods().with_word(&node_word(&Key::of(node).name));
            pods.iter().for_each(|pod| to.add(Key::of(&**pod)));
        }
    });
    let (to, weak) = (queue.clone(), Arc::downgrade(&context.caches));
    context.caches.pods().listen(move |old, new| {
        let placed = old.is_none_or(|old| node(old).is_empty());
        let Some(pod) = new.filter(|pod| placed && !node(pod).is_empty()) else {
            return;
        };
        let node = weak
            .upgrade()
            .and_then(|caches| caches.nodes().get(&Key::new("", node(pod))));
        if node.is_some_and(|node| !evicting(&node).is_empty()) {
            to.add(Key::of(pod));
        }
    });
    queue
        .work("taint-eviction", 8, |key| sync(context, recorder, key))
        .await;
}

async fn sync(context: &Context, recorder: &Recorder, key: Key) -> Result<Again> {
    let Some(pod) = context.caches.pods().get(&key) else {
        return Ok(None);
    };
    let Some(on) = context.caches.nodes().get(&Key::new("", node(&pod))) else {
        return Ok(None);
    };
    match verdict(&pod, &evicting(&on), Timestamp::now()) {
        Verdict::Stays => Ok(None),
        Verdict::GoesIn(left) => Ok(Some(left)),
        Verdict::Goes => {
            let text = format!("Marking for deletion Pod {key}");
            recorder
                .named("taint-eviction-controller")
                .note(&*pod, Note::normal("TaintManagerEviction", text));
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            write::delete(&context.namespaced::<Pod>(&key.namespace), &key, uid).await?;
            Ok(None)
        }
    }
}

fn evicting(node: &Node) -> Vec<Taint> {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    taints
        .filter(|taint| taint.effect == "NoExecute")
        .cloned()
        .collect()
}

/// What becomes of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Stays,
    GoesIn(Duration),
    Goes,
}

/// Decides about a pod on a node with these taints: each must be tolerated, and the shortest toleration counts.
pub(super) fn verdict(pod: &Pod, taints: &[Taint], now: Timestamp) -> Verdict {
    if pod.metadata.deletion_timestamp.is_some() {
        return Verdict::Stays;
    }
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref())
        .unwrap_or_default();
    let mut shortest = None;
    for taint in taints {
        let matching: Vec<_> = tolerations
            .iter()
            .filter(|toleration| tolerates(toleration, taint))
            .collect();
        if matching.is_empty() {
            return Verdict::Goes;
        }
        let limits = matching
            .iter()
            .filter_map(|toleration| toleration.toleration_seconds);
        let Some(seconds) = limits.min() else {
            continue;
        };
        let span = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let rest = match &taint.time_added {
            Some(added) => left(added, span, now).unwrap_or_default(),
            None => span,
        };
        shortest = Some(shortest.map_or(rest, |shortest: Duration| shortest.min(rest)));
    }
    match shortest {
        None => Verdict::Stays,
        Some(left) if left.is_zero() => Verdict::Goes,
        Some(left) => Verdict::GoesIn(left),
    }
}
