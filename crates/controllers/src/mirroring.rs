//! Mirrors hand-made Endpoints into EndpointSlices, for Services without a selector
//! (upstream: `pkg/controller/endpointslicemirroring`).

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Endpoints;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::context::Context;
use crate::endpoint_slices::{SliceChanges, is_of, listen_to_slices, write_slices};
use crate::error::Result;
use crate::key::Key;
use crate::mirroring::plan::{MANAGER, plan, should_mirror};
use crate::queue::{Again, Queue};

const WORKERS: usize = 4;

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_secs(1));
    listen(&context, &queue);
    context.caches.endpoints().ready().await;
    context.caches.services().ready().await;
    context.caches.endpoint_slices().ready().await;
    let sync = |key| sync(&context, key);
    queue.work("endpointslice-mirroring", WORKERS, sync).await;
}

fn listen(context: &Context, queue: &Queue<Key>) {
    let to = queue.clone();
    context.caches.endpoints().listen(move |old, new| {
        let mirrored = [old, new].into_iter().flatten().any(should_mirror);
        if let (true, Some(endpoints)) = (mirrored, new.or(old)) {
            to.add(Key::of(endpoints));
        }
    });
    let to = queue.clone();
    context.caches.services().listen(move |old, new| {
        if let Some(service) = new.or(old) {
            to.add(Key::of(service));
        }
    });
    listen_to_slices(context.caches.endpoint_slices(), MANAGER, queue);
}

async fn sync(context: &Context, key: Key) -> Result<Again> {
    let caches = &context.caches;
    let mut slices = caches.endpoint_slices().with_word(&key.to_string());
    slices.retain(|slice| is_of(slice, MANAGER) && slice.metadata.deletion_timestamp.is_none());
    let service = caches.services().get(&key);
    let selects = |selector: &crate::selector::Labels| !selector.is_empty();
    let by_hand = service.is_some_and(|service| {
        let spec = service.spec.as_ref();
        !spec
            .and_then(|spec| spec.selector.as_ref())
            .is_some_and(selects)
    });
    let endpoints = caches.endpoints().get(&key);
    let changes = match endpoints.filter(|endpoints| by_hand && should_mirror(endpoints)) {
        Some(endpoints) => mirror(context, &endpoints, &slices),
        None => SliceChanges {
            delete: slices,
            ..SliceChanges::default()
        },
    };
    match write_slices(context, &key.namespace, changes).await {
        Err(problem) if problem.namespace_terminates() => Ok(None),
        done => done.map(|()| None),
    }
}

fn mirror(context: &Context, endpoints: &Endpoints, slices: &[Arc<EndpointSlice>]) -> SliceChanges {
    let (changes, notes) = plan(endpoints, slices);
    let recorder = context
        .recorder
        .named("endpoint-slice-mirroring-controller");
    notes
        .into_iter()
        .for_each(|note| recorder.note(endpoints, note));
    changes
}
