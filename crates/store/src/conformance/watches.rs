//! Watches of what happens now.

use super::{Subject, batches_until, events_until};
use crate::{Event, KeyValue, Revision};

pub(super) async fn list_then_watch_leaves_no_gap(subject: &Subject) {
    subject.write("a", "1").await;
    let listed = subject.revision().await;
    subject.write("a", "2").await;
    let mut stream = subject.watch(listed).await;
    subject.write("b", "1").await;
    let last = subject.remove("a").await;
    let events = events_until(&mut stream, last).await;
    let words: Vec<_> = events.iter().map(|event| subject.word(event)).collect();
    assert_eq!(words, ["~a=2", "+b=1", "-a"]);
}

pub(super) async fn events_carry_what_was_before(subject: &Subject) {
    let mut stream = subject.watch(subject.revision().await).await;
    let created = subject.write("a", "1").await;
    let replaced = subject.write("a", "2").await;
    let deleted = subject.remove("a").await;
    let events = events_until(&mut stream, deleted).await;
    let pair = |value: &'static str, mod_revision| KeyValue {
        key: subject.key("a"),
        value: value.into(),
        create_revision: created,
        mod_revision,
    };
    let event = |revision, value: Option<&'static str>, previous| Event {
        revision,
        key: subject.key("a"),
        value: value.map(Into::into),
        create_revision: created,
        previous,
    };
    let expected = [
        event(created, Some("1"), None),
        event(replaced, Some("2"), Some(pair("1", created))),
        event(deleted, None, Some(pair("2", replaced))),
    ];
    assert_eq!(events, expected);
}

pub(super) async fn transaction_arrives_in_one_batch(subject: &Subject) {
    let start = subject.revision().await;
    let mut stream = subject.watch(start).await;
    let names: Vec<_> = (0..50).map(|n| format!("{n:02}")).collect();
    let puts: Vec<_> = names.iter().map(|name| subject.put(name, "v")).collect();
    let revisions = subject.commit(puts).await;
    let last = *revisions.last().expect("there were operations");
    for stream in [&mut stream, &mut subject.watch(start).await] {
        let batches = batches_until(stream, last).await;
        let full = batches.iter().filter(|batch| !batch.events.is_empty());
        let full: Vec<_> = full.collect();
        assert_eq!(full.len(), 1, "a transaction came in {} pieces", full.len());
        let seen: Vec<_> = full[0].events.iter().map(|event| event.revision).collect();
        assert_eq!(seen, revisions);
    }
}

pub(super) async fn other_prefixes_are_not_told_but_make_progress(subject: &Subject) {
    let start = subject.revision().await;
    let mut stream = subject.watch_prefix(subject.key("mine/"), start).await;
    subject.write("theirs/a", "1").await;
    subject.write("mine", "not under the prefix").await;
    let last = subject
        .commit([subject.put("mine/a", "1"), subject.put("theirs/b", "1")])
        .await[1];
    let batches = batches_until(&mut stream, last).await;
    let events = batches.iter().flat_map(|batch| &batch.events);
    let words: Vec<_> = events.map(|event| subject.word(event)).collect();
    assert_eq!(words, ["+mine/a=1"]);
    assert!(batches.is_sorted_by_key(|batch| batch.revision));
    let later = subject.write("theirs/c", "1").await;
    assert_eq!(events_until(&mut stream, later).await, []);
}

pub(super) async fn start_inside_a_transaction_skips_only_what_was_seen(subject: &Subject) {
    let puts = [
        subject.put("a", "1"),
        subject.put("b", "1"),
        subject.put("c", "1"),
    ];
    let revisions = subject.commit(puts).await;
    let after = revisions[1];
    let mut stream = subject.watch(after).await;
    let last = subject.write("d", "1").await;
    let events = events_until(&mut stream, last).await;
    let words: Vec<_> = events.iter().map(|event| subject.word(event)).collect();
    // A store that gives a whole transaction one revision has nothing of it left to tell.
    let rest = if revisions[2] > after {
        &["+c=1", "+d=1"][..]
    } else {
        &["+d=1"]
    };
    assert_eq!(words, rest);
}

pub(super) async fn watchers_of_concurrent_writes_agree(subject: &Subject) {
    let start = subject.revision().await;
    let mut early = subject.watch(start).await;
    let write = async |writer: usize| {
        let mut last = Revision(0);
        for n in 0..20 {
            let (a, b) = (format!("{writer}/a"), format!("{writer}/b"));
            let value = n.to_string();
            last = subject
                .commit([subject.put(&a, value.clone()), subject.put(&b, value)])
                .await[1];
        }
        last
    };
    let writers = futures::future::join_all((0..8).map(write)).await;
    let last = writers.into_iter().max().expect("there are writers");
    let seen = events_until(&mut early, last).await;
    let replayed = events_until(&mut subject.watch(start).await, last).await;
    assert_eq!(seen, replayed);
    assert_eq!(seen.len(), 8 * 20 * 2);
    assert!(seen.is_sorted_by_key(|event| event.revision));
    for pair in seen.chunks(2) {
        assert_eq!(
            pair[0].value, pair[1].value,
            "a transaction is not in one piece"
        );
    }
}
