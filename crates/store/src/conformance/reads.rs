//! Ranges: order, limits, and the past.

use bytes::Bytes;

use super::Subject;
use crate::{Operation, RangeQuery, Revision, StoreError};

pub(super) async fn range_is_ordered_and_ends_before_its_end(subject: &Subject) {
    for name in ["b", "a/2", "a", "c", "a/1", "b\u{7f}"] {
        subject.write(name, "v").await;
    }
    assert_eq!(
        subject.list(None).await,
        "a=v a/1=v a/2=v b=v b\u{7f}=v c=v"
    );
    let range = |start: &str, end: Bytes| RangeQuery {
        start: subject.key(start),
        end,
        ..RangeQuery::default()
    };
    let read = async |query| {
        let found = subject
            .store
            .range(query)
            .await
            .expect("a range is answered");
        assert_eq!(found.remaining, 0);
        assert!(
            found
                .items
                .iter()
                .all(|pair| pair.mod_revision <= found.revision)
        );
        subject.words(&found.items)
    };
    assert_eq!(read(range("a/", subject.key("b"))).await, "a/1=v a/2=v");
    assert_eq!(read(range("b", subject.key("b"))).await, "");
    assert_eq!(read(range("c", subject.key("a"))).await, "");
    let open = read(range("b", Bytes::new())).await;
    assert!(open.starts_with("b=v b\u{7f}=v c=v"), "{open}");
}

pub(super) async fn limit_cuts_and_counts_the_rest(subject: &Subject) {
    for name in ["a", "b", "c", "d", "e"] {
        subject.write(name, "v").await;
    }
    subject.remove("c").await;
    for (limit, words, remaining) in [
        (0, "a=v b=v d=v e=v", 0),
        (1, "a=v", 3),
        (3, "a=v b=v d=v", 1),
        (4, "a=v b=v d=v e=v", 0),
        (9, "a=v b=v d=v e=v", 0),
    ] {
        let query = RangeQuery {
            limit,
            ..RangeQuery::prefix(subject.prefix.clone())
        };
        let found = subject
            .store
            .range(query)
            .await
            .expect("a range is answered");
        assert_eq!(
            (subject.words(&found.items), found.remaining),
            (words.to_owned(), remaining)
        );
    }
}

pub(super) async fn range_at_a_revision_sees_the_past(subject: &Subject) {
    let before = subject.write("other", "v").await;
    subject.remove("other").await;
    let first = subject.write("a", "1").await;
    let second = subject.write("b", "1").await;
    let third = subject.write("a", "2").await;
    let fourth = subject.remove("b").await;
    let fifth = subject.write("b", "2").await;
    let sixth = subject.remove("a").await;
    for (revision, words) in [
        (before, "other=v"),
        (first, "a=1"),
        (second, "a=1 b=1"),
        (third, "a=2 b=1"),
        (fourth, "a=2"),
        (fifth, "a=2 b=2"),
        (sixth, "b=2"),
    ] {
        assert_eq!(
            subject.list(Some(revision)).await,
            words,
            "at revision {revision}"
        );
    }
    let query = RangeQuery {
        revision: Some(third),
        limit: 1,
        ..RangeQuery::prefix(subject.prefix.clone())
    };
    let found = subject
        .store
        .range(query)
        .await
        .expect("a range is answered");
    assert_eq!((found.revision, found.remaining), (third, 1));
    assert_eq!(found.items[0].create_revision, first);
    assert_eq!(found.items[0].mod_revision, third);
}

pub(super) async fn pages_at_one_revision_make_the_whole(subject: &Subject) {
    for n in 0..25 {
        subject.write(&format!("{n:02}"), "v").await;
    }
    let whole = subject.list(None).await;
    let mut query = RangeQuery {
        limit: 4,
        ..RangeQuery::prefix(subject.prefix.clone())
    };
    let mut pages = Vec::new();
    loop {
        let found = subject
            .store
            .range(query.clone())
            .await
            .expect("a range is answered");
        pages.push(subject.words(&found.items));
        // What happens between the pages must not show in them.
        let n = pages.len();
        subject
            .commit([
                subject.delete(&format!("{:02}", n * 5)),
                subject.put(&format!("99{n}"), "new"),
            ])
            .await;
        if found.remaining == 0 {
            break;
        }
        let last = found.items.last().expect("a page that was cut has items");
        query.start = [&last.key[..], b"\0"].concat().into();
        query.revision = Some(found.revision);
    }
    assert_eq!(pages.len(), 7);
    assert_eq!(pages.join(" "), whole);
}

pub(super) async fn future_revisions_are_refused(subject: &Subject) {
    subject.write("a", "1").await;
    let query = RangeQuery {
        revision: Some(Revision(subject.revision().await.0 + 1_000_000)),
        ..RangeQuery::prefix(subject.prefix.clone())
    };
    let result = subject.store.range(query).await;
    assert!(
        matches!(result, Err(StoreError::Future { .. })),
        "{result:?}"
    );
}

pub(super) async fn any_bytes_are_keys_and_values(subject: &Subject) {
    let pairs: Vec<(Bytes, Bytes)> = [&b"\0"[..], b"\0\0", b"\x01\xfe", b"\xff", b"\xff\xff"]
        .iter()
        .map(|tail| {
            (
                [subject.prefix.as_bytes(), tail].concat().into(),
                tail.to_vec().into(),
            )
        })
        .chain([
            (subject.key("empty"), Bytes::new()),
            (subject.key("long"), vec![7; 1 << 20].into()),
        ])
        .collect();
    for (key, value) in pairs.clone() {
        subject.commit([Operation::Put { key, value }]).await;
    }
    for (key, value) in &pairs {
        let found = subject
            .store
            .get(key.clone())
            .await
            .expect("a get is answered");
        assert_eq!(found.map(|pair| pair.value).as_ref(), Some(value));
    }
    let query = RangeQuery::prefix([subject.prefix.as_bytes(), b"\xff"].concat());
    let found = subject
        .store
        .range(query)
        .await
        .expect("a range is answered");
    assert_eq!(found.items.len(), 2);
}
