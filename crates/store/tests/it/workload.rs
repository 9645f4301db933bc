//! Writers whose every transaction can be recognised afterwards, and the check that all of it is there.
//!
//! Writer `w` owns the keys `w/0` … `w/3`. Its transaction `n` writes `n` into all of them, but every
//! fifth deletes `w/3` instead. Each takes four revisions, whatever happens.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use futures::StreamExt;
use store::{
    Compare, Event, Operation, Revision, Store, StoreError, Transaction, TransactionOutcome,
};

/// How many write at once.
pub(crate) const WRITERS: usize = 8;
const KEYS: u64 = 4;

/// A transaction that the store said is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) writer: usize,
    pub(crate) n: u64,
    /// Of the first key; the others follow.
    pub(crate) revision: u64,
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acknowledged {} {} {}",
            self.writer, self.n, self.revision
        )
    }
}

impl FromStr for Acknowledged {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<_> = line.split(' ').collect();
        let number = |n: usize| words[n].parse().map_err(drop);
        match words[..] {
            ["acknowledged", writer, _, _] => Ok(Self {
                writer: writer.parse().map_err(drop)?,
                n: number(2)?,
                revision: number(3)?,
            }),
            _ => Err(()),
        }
    }
}

/// Writes as all the writers at once, for as long as the store takes it; each goes on where it left off.
pub(crate) async fn write(store: &impl Store, acknowledge: impl Fn(Acknowledged)) {
    let writers = (0..WRITERS).map(|writer| write_as(store, writer, &acknowledge));
    futures::future::join_all(writers).await;
}

async fn write_as(store: &impl Store, writer: usize, acknowledge: &impl Fn(Acknowledged)) {
    let Ok(found) = store.get(key(writer, 0)).await else {
        return;
    };
    let mut before = found.map_or((0, Revision(0)), |pair| {
        (number(&pair.value), pair.mod_revision)
    });
    loop {
        let n = before.0 + 1;
        let transaction = Transaction {
            compares: vec![Compare {
                key: key(writer, 0),
                mod_revision: before.1,
            }],
            operations: (0..KEYS).map(|index| operation(writer, index, n)).collect(),
        };
        let revisions = match store.transact(transaction).await {
            Ok(TransactionOutcome::Committed { revisions }) => revisions,
            Ok(failed @ TransactionOutcome::Failed { .. }) => panic!("{failed:?}"),
            Err(_) => return,
        };
        let revision = revisions[0].0;
        assert!(revisions.iter().map(|r| r.0).eq(revision..revision + KEYS));
        acknowledge(Acknowledged {
            writer,
            n,
            revision,
        });
        before = (n, revisions[0]);
    }
}

fn operation(writer: usize, index: u64, n: u64) -> Operation {
    let key = key(writer, index);
    match value(index, n) {
        Some(value) => Operation::Put { key, value },
        None => Operation::Delete { key },
    }
}

/// What transaction `n` leaves in the key; padded, so that commits have several pages.
fn value(index: u64, n: u64) -> Option<Bytes> {
    let deletes = index == KEYS - 1 && n.is_multiple_of(5);
    let width = 8 + 100 * (n as usize % 17);
    (!deletes).then(|| format!("{n:0width$}").into())
}

fn key(writer: usize, index: u64) -> Bytes {
    format!("{writer}/{index}").into()
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// Checks a store that was cut off: everything in `acknowledged` is there, each transaction is there
/// whole or not at all, and the revisions have no gap.
pub(crate) async fn check(store: &impl Store, acknowledged: &[Acknowledged]) {
    let mut live = BTreeMap::new();
    for writer in 0..WRITERS {
        let last = check_live(store, writer).await;
        live.insert(writer, last);
    }
    for ack in acknowledged {
        assert!(
            live[&ack.writer] >= ack.n,
            "{ack} was lost, {} is there",
            live[&ack.writer]
        );
    }
    let history = history(store).await;
    check_history(&history, &live);
    let oldest = history.first().map_or(u64::MAX, |event| event.revision.0);
    for ack in acknowledged.iter().filter(|ack| ack.revision >= oldest) {
        let event = &history[usize::try_from(ack.revision - oldest).unwrap()];
        let found = (&event.key, &event.value);
        assert_eq!(found, (&key(ack.writer, 0), &value(0, ack.n)), "at {ack}");
    }
}

/// The number of the writer's last transaction, which is there whole.
async fn check_live(store: &impl Store, writer: usize) -> u64 {
    let Some(first) = store.get(key(writer, 0)).await.unwrap() else {
        return 0;
    };
    let n = number(&first.value);
    for index in 0..KEYS {
        let pair = store.get(key(writer, index)).await.unwrap();
        let revision = pair.as_ref().map(|pair| pair.mod_revision.0);
        let expected = value(index, n);
        let expected_revision = expected.as_ref().map(|_| first.mod_revision.0 + index);
        assert_eq!(
            revision, expected_revision,
            "{writer}/{index} in transaction {n}"
        );
        assert_eq!(pair.map(|pair| pair.value), expected, "{writer}/{index}");
    }
    n
}

/// All events that are kept, without a gap up to the newest revision.
async fn history(store: &impl Store) -> Vec<Event> {
    let until = store.revision().await.unwrap();
    let start = match store.watch(Bytes::new(), Revision(0)).await {
        Err(StoreError::Compacted { oldest, .. }) => oldest,
        Ok(_) => Revision(0),
        Err(error) => panic!("{error}"),
    };
    let mut stream = store.watch(Bytes::new(), start).await.unwrap();
    let mut events = Vec::new();
    let mut seen = start;
    while seen < until {
        let batch = stream.next().await.unwrap().unwrap();
        seen = batch.revision;
        events.extend(batch.events);
    }
    let revisions = events.iter().map(|event| event.revision.0);
    assert!(revisions.eq(start.0 + 1..=until.0), "revisions have a gap");
    events
}

/// Whole transactions, each writer's in order, ending with what lives.
fn check_history(history: &[Event], live: &BTreeMap<usize, u64>) {
    // Compaction may have cut the first transaction.
    let whole = history.iter().position(|event| event.key.ends_with(b"/0"));
    let mut last = BTreeMap::new();
    for events in history[whole.unwrap_or(0)..].chunks(KEYS as usize) {
        let writer = events[0].key[0] - b'0';
        let n = number(events[0].value.as_ref().unwrap());
        for (index, event) in (0..KEYS).zip(events) {
            assert_eq!(event.key, key(writer.into(), index), "in transaction {n}");
            assert_eq!(
                event.value,
                value(index, n),
                "{writer}/{index} in transaction {n}"
            );
        }
        assert_eq!(
            events.len(),
            KEYS as usize,
            "{writer}'s transaction {n} is half there"
        );
        let before = last.insert(usize::from(writer), n);
        assert!(
            before.is_none_or(|before| n == before + 1),
            "{n} after {before:?}"
        );
    }
    for (writer, n) in last {
        assert_eq!(
            n, live[&writer],
            "the history of {writer} does not end with what lives"
        );
    }
}
