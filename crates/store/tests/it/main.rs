//! The embedded store: the suite of the trait, and what is its own.

#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
mod chance;
mod crash;
mod embedded;
mod model;
mod power_loss;
mod workload;

use std::sync::Arc;

use store::{Embedded, Store};

#[tokio::test]
async fn conforms_with_a_fresh_store_for_each_check() {
    let directory = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    store::conformance::run(async || {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store = Embedded::open(directory.path().join(n.to_string())).unwrap();
        Arc::new(store) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_with_one_store_for_all_checks() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path().join("store.redb")).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    store::conformance::run(async || store.clone()).await;
}
