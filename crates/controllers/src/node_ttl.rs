//! Tells nodes how long they may keep what they read of ConfigMaps and Secrets: the longer, the more nodes there are
//! (upstream: ttl-controller).

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::write;

const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(50));
    let to = queue.clone();
    context.caches.nodes().listen(move |_, new| {
        new.into_iter().for_each(|node| to.add(Key::of(node)));
    });
    context.caches.nodes().ready().await;
    queue.work("ttl", 1, |key| sync(&context, key)).await;
}

async fn sync(context: &Context, key: Key) -> Result<Again> {
    let cache = context.caches.nodes();
    let Some(node) = cache.get(&key) else {
        return Ok(None);
    };
    let wanted = seconds(cache.all().len()).to_string();
    let annotations = node.metadata.annotations.as_ref();
    if annotations.and_then(|all| all.get(ANNOTATION)) == Some(&wanted) {
        return Ok(None);
    }
    let patch =
        json!({"metadata": {"uid": node.metadata.uid, "annotations": {ANNOTATION: wanted}}});
    match write::patch(&context.cluster::<Node>(), &key, &patch).await {
        Ok(written) => cache.catch_up(&written).await,
        Err(problem) if problem.is_not_found() => {}
        Err(problem) => return Err(problem),
    }
    Ok(None)
}

/// The boundaries of `pkg/controller/ttl`, without its overlap: nodes seldom come and go by hundreds here.
fn seconds(nodes: usize) -> u32 {
    match nodes {
        0..=100 => 0,
        101..=500 => 15,
        501..=1000 => 30,
        1001..=2000 => 60,
        _ => 300,
    }
}
