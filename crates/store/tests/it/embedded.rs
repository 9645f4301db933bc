//! What only the embedded store promises: the file, revisions of its own, and its policy.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use futures::StreamExt;
use store::{
    Embedded, Operation, Options, RangeQuery, Revision, Store, StoreError, Transaction,
    TransactionOutcome,
};

fn puts(pairs: &[(&str, &str)]) -> Transaction {
    let put = |(key, value): &(&str, &str)| Operation::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    Transaction {
        compares: Vec::new(),
        operations: pairs.iter().map(put).collect(),
    }
}

async fn write(store: &Embedded, pairs: &[(&str, &str)]) -> Vec<u64> {
    match store.transact(puts(pairs)).await.unwrap() {
        TransactionOutcome::Committed { revisions } => revisions.iter().map(|r| r.0).collect(),
        failed @ TransactionOutcome::Failed { .. } => panic!("{failed:?}"),
    }
}

async fn history(store: &Embedded, after: u64) -> Vec<String> {
    let until = store.revision().await.unwrap();
    let mut stream = store.watch(Bytes::new(), Revision(after)).await.unwrap();
    let (mut words, mut seen) = (Vec::new(), Revision(after));
    while seen < until {
        let batch = stream.next().await.unwrap().unwrap();
        seen = batch.revision;
        for event in batch.events {
            let value = event.value.unwrap_or_default();
            words.push(format!("{}:{:?}={value:?}", event.revision, event.key));
        }
    }
    words
}

#[tokio::test]
async fn every_operation_has_a_revision_of_its_own_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path().join("s")).unwrap();
    assert_eq!(store.revision().await.unwrap(), Revision(0));
    assert_eq!(write(&store, &[("a", "1"), ("b", "1")]).await, [1, 2]);
    assert_eq!(write(&store, &[("a", "2")]).await, [3]);
    assert_eq!(store.revision().await.unwrap(), Revision(3));
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let store = Embedded::open(&path).unwrap();
    write(&store, &[("a", "1"), ("b", "1")]).await;
    write(&store, &[("a", "2")]).await;
    store.compact(Revision(1)).await.unwrap();
    let before = history(&store, 1).await;
    store.close().await;

    let store = Embedded::open(&path).unwrap();
    assert_eq!(history(&store, 1).await, before);
    let past = RangeQuery {
        revision: Some(Revision(2)),
        ..RangeQuery::prefix("")
    };
    let past = store.range(past).await.unwrap();
    assert_eq!(
        (past.items[0].value.as_ref(), past.items.len()),
        (&b"1"[..], 2)
    );
    let late = store.watch(Bytes::new(), Revision(0)).await;
    assert!(matches!(late.err(), Some(StoreError::Compacted { .. })));
    assert_eq!(write(&store, &[("c", "1")]).await, [4]);
}

#[tokio::test]
async fn a_revision_is_never_given_twice_even_if_its_change_was_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let store = Embedded::open(&path).unwrap();
    write(&store, &[("a", "1")]).await;
    let delete = Operation::Delete { key: "a".into() };
    let transaction = Transaction {
        operations: vec![delete],
        ..Transaction::default()
    };
    store.transact(transaction).await.unwrap();
    store.compact(Revision(2)).await.unwrap();
    store.close().await;

    let store = Embedded::open(&path).unwrap();
    assert_eq!(store.revision().await.unwrap(), Revision(2));
    assert_eq!(write(&store, &[("b", "1")]).await, [3]);
}

#[tokio::test]
async fn a_second_opener_is_told_that_the_file_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let store = Embedded::open(&path).unwrap();
    let second = Embedded::open(&path).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
    assert!(second.to_string().contains(&path.display().to_string()));
    store.close().await;
    Embedded::open(&path).unwrap();
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    std::fs::write(&path, "not a store").unwrap();
    let error = Embedded::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"not a store");
}

#[tokio::test]
async fn closing_ends_watches_and_later_calls() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path().join("s")).unwrap();
    write(&store, &[("a", "1")]).await;
    let mut idle = store.watch(Bytes::new(), Revision(1)).await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(idle.next().await, Some(Err(StoreError::Closed))));
    assert!(idle.next().await.is_none());
    assert!(matches!(
        store.get("a".into()).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        store.transact(puts(&[])).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        store.range(RangeQuery::prefix("")).await,
        Err(StoreError::Closed)
    ));
}

#[tokio::test]
async fn old_history_goes_by_itself_and_the_file_stays_small() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let options = Options {
        keep_revisions: 100,
        ..Options::default()
    };
    let store = Embedded::open_with(&path, options).unwrap();
    let value = "x".repeat(1000);
    for _ in 0..50 {
        let keys: Vec<_> = (0..100).map(|n| format!("key{}", n % 100)).collect();
        let pairs: Vec<_> = keys
            .iter()
            .map(|key| (key.as_str(), value.as_str()))
            .collect();
        write(&store, &pairs).await;
    }
    let late = store.watch(Bytes::new(), Revision(4800)).await;
    assert!(matches!(late.err(), Some(StoreError::Compacted { .. })));
    assert_eq!(history(&store, 4900).await.len(), 100);
    assert_eq!(
        store
            .range(RangeQuery::prefix("key"))
            .await
            .unwrap()
            .items
            .len(),
        100
    );
    store.close().await;
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(
        size < 4_000_000,
        "5 MB were written, 200 kB are kept, the file has {size} bytes"
    );
}

#[tokio::test]
async fn history_on_disk_comes_in_bounded_batches_of_whole_transactions() {
    const OPERATIONS: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let store = Embedded::open(&path).unwrap();
    let keys: Vec<_> = (0..OPERATIONS).map(|n| n.to_string()).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    for _ in 0..10 {
        write(&store, &pairs).await;
    }
    store.close().await;

    let store = Embedded::open(&path).unwrap();
    let mut stream = store.watch(Bytes::new(), Revision(0)).await.unwrap();
    let mut ends = Vec::new();
    while ends.last() != Some(&(10 * OPERATIONS)) {
        ends.push(stream.next().await.unwrap().unwrap().revision.0);
    }
    assert_eq!(ends, [600, 1200, 1800, 2400, 3000]);
}

#[tokio::test]
async fn a_watcher_that_sleeps_too_long_is_told_to_start_over() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        keep_revisions: 500,
        ..Options::default()
    };
    let store = Embedded::open_with(directory.path().join("s"), options).unwrap();
    let mut asleep = store.watch(Bytes::new(), Revision(0)).await.unwrap();
    let keys: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    // More than memory holds for watchers that keep up.
    for _ in 0..20 {
        write(&store, &pairs).await;
    }
    let told = asleep.next().await;
    assert!(
        matches!(told, Some(Err(StoreError::Compacted { .. }))),
        "{told:?}"
    );
    assert!(asleep.next().await.is_none());
}

#[tokio::test]
async fn dropping_the_store_ends_its_watches() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path().join("s")).unwrap();
    let mut idle = store.watch(Bytes::new(), Revision(0)).await.unwrap();
    drop(store);
    assert!(matches!(idle.next().await, Some(Err(StoreError::Closed))));
}

#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let _store = Embedded::open(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
