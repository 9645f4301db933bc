//! Watches of what happened before.

use futures::StreamExt;

use super::{Subject, events_until, patiently};
use crate::Revision;

/// More than an implementation keeps in memory for those who keep up.
const MANY: usize = 12_000;

pub(super) async fn watch_from_the_past_replays_every_change(subject: &Subject) {
    let start = subject.revision().await;
    subject.write("a", "1").await;
    subject.write("a", "2").await;
    subject.remove("a").await;
    subject
        .commit([subject.put("b", "1"), subject.put("a", "3")])
        .await;
    let last = subject.write("b", "2").await;
    let replay = async |after| {
        let events = events_until(&mut subject.watch(after).await, last).await;
        let words = events.iter().map(|event| subject.word(event));
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(replay(start).await, "+a=1 ~a=2 -a +b=1 +a=3 ~b=2");
    let third = subject.store.watch(subject.key("a"), start).await;
    let events = events_until(&mut third.expect("a watch starts"), last).await;
    let deletion = events.iter().find(|event| event.value.is_none());
    let deletion = deletion.expect("the key was deleted");
    assert_eq!(replay(deletion.revision).await, "+b=1 +a=3 ~b=2");
}

pub(super) async fn slow_watcher_misses_nothing_and_holds_nobody_up(subject: &Subject) {
    let start = subject.revision().await;
    let mut slow = subject.watch(start).await;
    subject.write("first", "v").await;
    let first = patiently(slow.next()).await;
    assert!(matches!(first, Some(Ok(_))), "{first:?}");
    let mut last = Revision(0);
    for batch in 0..MANY / 100 {
        let names = (0..100).map(|n| format!("{:03}", (batch * 7 + n) % 500));
        let puts: Vec<_> = names
            .map(|name| subject.put(&name, batch.to_string()))
            .collect();
        last = *subject
            .commit(puts)
            .await
            .last()
            .expect("there were operations");
    }
    let events = events_until(&mut slow, last).await;
    assert_eq!(events.len(), MANY);
    assert!(events.is_sorted_by_key(|event| event.revision));
    let replayed = events_until(&mut subject.watch(start).await, last).await;
    assert_eq!(replayed[1..], events);
}
