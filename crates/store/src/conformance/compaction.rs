//! Forgetting history without losing what lives.

use super::{Subject, events_until};
use crate::{RangeQuery, Revision, StoreError};

pub(super) async fn late_reads_and_watches_are_told(subject: &Subject) {
    let first = subject.write("a", "1").await;
    subject.write("a", "2").await;
    let third = subject.write("a", "3").await;
    let last = subject.write("a", "4").await;
    compact(subject, third).await;
    let late = RangeQuery {
        revision: Some(first),
        ..RangeQuery::prefix(subject.prefix.clone())
    };
    match subject.store.range(late).await {
        Err(StoreError::Compacted { requested, oldest }) => {
            assert_eq!((requested, oldest), (first, third));
        }
        other => panic!("a compacted revision was read: {other:?}"),
    }
    let error = subject.watch_error(first).await;
    assert!(matches!(error, StoreError::Compacted { .. }), "{error:?}");
    assert_eq!(subject.list(Some(third)).await, "a=3");
    let events = events_until(&mut subject.watch(third).await, last).await;
    assert_eq!(events.len(), 1);
    compact(subject, first).await;
    assert_eq!(subject.list(Some(third)).await, "a=3");
}

pub(super) async fn live_values_survive(subject: &Subject) {
    for n in 0..300 {
        subject
            .write(&format!("{:02}", n % 30), n.to_string())
            .await;
    }
    subject.remove("07").await;
    subject.remove("08").await;
    subject.write("08", "again").await;
    let before = subject.list(None).await;
    assert_eq!(before.split(' ').count(), 29);
    compact(subject, subject.revision().await).await;
    assert_eq!(subject.list(None).await, before);
    assert_eq!(subject.get("07").await, None);
    let pair = subject.get("08").await.expect("it was put again");
    assert_eq!(pair.value, "again");
    let again = subject.write("07", "new").await;
    let pair = subject.get("07").await.expect("it was put again");
    assert_eq!(pair.create_revision, again);
}

pub(super) async fn later_changes_still_know_what_they_replaced(subject: &Subject) {
    let created = subject.write("a", "1").await;
    subject.write("b", "1").await;
    let compacted = subject.write("c", "1").await;
    subject.write("a", "2").await;
    let last = subject.remove("a").await;
    compact(subject, compacted).await;
    subject.write("other", "v").await;
    let events = events_until(&mut subject.watch(compacted).await, last).await;
    let previous = |n: usize| {
        let pair = events[n].previous.clone().expect("there was a value");
        (pair.value, pair.create_revision)
    };
    assert_eq!(previous(0), ("1".into(), created));
    assert_eq!(previous(1), ("2".into(), created));
}

pub(super) async fn compacting_the_future_is_refused(subject: &Subject) {
    let future = Revision(subject.write("a", "1").await.0 + 1_000_000);
    let result = subject.store.compact(future).await;
    assert!(
        matches!(result, Err(StoreError::Future { .. })),
        "{result:?}"
    );
    assert_eq!(subject.list(None).await, "a=1");
}

async fn compact(subject: &Subject, revision: Revision) {
    let done = subject.store.compact(revision).await;
    done.expect("history can be compacted");
}
