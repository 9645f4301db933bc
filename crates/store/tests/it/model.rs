//! The store against a model that remembers every state it was ever in.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use proptest::prelude::*;
use proptest::sample::select;
use store::{
    Compare, Embedded, Event, KeyValue, Operation, Options, RangeQuery, RangeResult, Revision,
    Store, StoreError, Transaction, TransactionOutcome,
};

const KEYS: [&str; 6] = ["a", "a/1", "a/2", "b", "b/1", "c"];
const OPTIONS: Options = Options {
    keep_revisions: 0,
    cache_bytes: 1 << 20,
};

#[derive(Clone, Debug)]
enum Step {
    /// Keys to compare, each rightly or not; keys to put or delete.
    Transact(Vec<(usize, bool)>, Vec<(usize, bool)>),
    /// A range at a part of the history in percent, over 100 for the newest.
    Range(u64, usize, usize, usize),
    /// A watch of a key as prefix, from a part of the history in percent.
    Watch(u64, usize),
    Compact(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let compares = prop::collection::vec((key.clone(), prop::bool::weighted(0.9)), 0..3);
    let writes = prop::collection::vec((key.clone(), prop::bool::weighted(0.7)), 0..4);
    let percent = select(vec![0, 10, 50, 80, 95, 99, 100, 120]);
    prop_oneof![
        10 => (compares, writes).prop_map(|(compares, writes)| Step::Transact(compares, writes)),
        3 => (percent.clone(), key.clone(), key.clone(), 0..4usize)
            .prop_map(|(at, start, end, limit)| Step::Range(at, start, end, limit)),
        2 => (percent.clone(), key).prop_map(|(at, prefix)| Step::Watch(at, prefix)),
        1 => percent.prop_map(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn store_does_what_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut store = Embedded::open_with(&path, OPTIONS).unwrap();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Transact(compares, writes) => model.transact(&store, &compares, &writes).await,
            Step::Range(at, start, end, limit) => {
                model.range(&store, at, &keys(start, end), limit).await;
            }
            Step::Watch(at, prefix) => model.watch(&store, at, KEYS[prefix]).await,
            Step::Compact(at) => model.compact(&store, at).await,
            Step::Reopen => {
                store.close().await;
                store = Embedded::open_with(&path, OPTIONS).unwrap();
            }
        }
        model.check_live(&store).await;
    }
}

/// From one key to another; the first to itself has no end.
fn keys(start: usize, end: usize) -> (Bytes, Bytes) {
    let end = if end == 0 { "" } else { KEYS[end] };
    (KEYS[start].into(), end.into())
}

type Live = BTreeMap<Bytes, KeyValue>;

/// All states and all events, by revision.
#[derive(Default)]
struct Model {
    states: Vec<Live>,
    events: Vec<Event>,
    compacted: u64,
}

impl Model {
    fn revision(&self) -> u64 {
        self.events.len() as u64
    }

    fn live(&self) -> Live {
        self.states.last().cloned().unwrap_or_default()
    }

    fn state(&self, revision: u64) -> Live {
        let before = usize::try_from(revision).unwrap().checked_sub(1);
        before.map_or_else(Live::new, |index| self.states[index].clone())
    }

    fn part(&self, percent: u64) -> Revision {
        Revision(self.revision() * percent / 100)
    }

    /// What a read at or a watch after the revision is told, if not its answer.
    fn refusal(&self, asked: Revision) -> Option<StoreError> {
        let (oldest, current) = (Revision(self.compacted), Revision(self.revision()));
        if asked > current {
            return Some(StoreError::Future {
                requested: asked,
                current,
            });
        }
        (asked < oldest).then_some(StoreError::Compacted {
            requested: asked,
            oldest,
        })
    }

    async fn transact(
        &mut self,
        store: &Embedded,
        compares: &[(usize, bool)],
        writes: &[(usize, bool)],
    ) {
        let live = self.live();
        let compare = |(key, right): &(usize, bool)| {
            let modified = live
                .get(KEYS[*key].as_bytes())
                .map_or(0, |pair| pair.mod_revision.0);
            let mod_revision = Revision(if *right { modified } else { modified + 1 });
            Compare {
                key: KEYS[*key].into(),
                mod_revision,
            }
        };
        let value = format!("written after {}", self.revision());
        let write = |(key, put): &(usize, bool)| match put {
            true => Operation::Put {
                key: KEYS[*key].into(),
                value: value.clone().into(),
            },
            false => Operation::Delete {
                key: KEYS[*key].into(),
            },
        };
        let transaction = Transaction {
            compares: compares.iter().map(compare).collect(),
            operations: writes.iter().map(write).collect(),
        };
        let outcome = store.transact(transaction.clone()).await;
        let mut keys: Vec<_> = writes.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            assert!(
                matches!(outcome, Err(StoreError::Invalid(_))),
                "{outcome:?}"
            );
            return;
        }
        let expected = match compares.iter().position(|(_, right)| !right) {
            Some(compare) => TransactionOutcome::Failed {
                compare,
                actual: live.get(&transaction.compares[compare].key).cloned(),
            },
            None => {
                let revisions = transaction
                    .operations
                    .into_iter()
                    .map(|one| self.perform(one));
                TransactionOutcome::Committed {
                    revisions: revisions.collect(),
                }
            }
        };
        assert_eq!(outcome.unwrap(), expected);
    }

    fn perform(&mut self, operation: Operation) -> Revision {
        let mut live = self.live();
        let revision = Revision(self.revision() + 1);
        let (key, value) = match operation {
            Operation::Put { key, value } => (key, Some(value)),
            Operation::Delete { key } => (key, None),
        };
        let previous = live.remove(&key);
        if value.is_none() && previous.is_none() {
            return Revision(0);
        }
        let create_revision = previous
            .as_ref()
            .map_or(revision, |pair| pair.create_revision);
        if let Some(value) = value.clone() {
            let pair = KeyValue {
                key: key.clone(),
                value,
                create_revision,
                mod_revision: revision,
            };
            live.insert(key.clone(), pair);
        }
        self.states.push(live);
        self.events.push(Event {
            revision,
            key,
            value,
            create_revision,
            previous,
        });
        revision
    }

    async fn range(&self, store: &Embedded, at: u64, (start, end): &(Bytes, Bytes), limit: usize) {
        let at = (at <= 110).then(|| self.part(at));
        let query = RangeQuery {
            start: start.clone(),
            end: end.clone(),
            revision: at,
            limit,
        };
        let result = store.range(query).await;
        if let Some(refusal) = at.and_then(|at| self.refusal(at)) {
            assert_eq!(result.unwrap_err().to_string(), refusal.to_string());
            return;
        }
        let revision = at.unwrap_or(Revision(self.revision()));
        let inside = |pair: &KeyValue| pair.key >= start && (end.is_empty() || pair.key < end);
        let mut items: Vec<_> = self
            .state(revision.0)
            .into_values()
            .filter(inside)
            .collect();
        let kept = if limit == 0 {
            items.len()
        } else {
            limit.min(items.len())
        };
        let remaining = items.split_off(kept).len() as u64;
        assert_eq!(
            result.unwrap(),
            RangeResult {
                items,
                revision,
                remaining
            }
        );
    }

    async fn watch(&self, store: &Embedded, at: u64, prefix: &'static str) {
        let after = self.part(at);
        let watch = store.watch(prefix.into(), after).await;
        if let Some(refusal) = self.refusal(after) {
            assert_eq!(watch.err().unwrap().to_string(), refusal.to_string());
            return;
        }
        let (mut stream, mut seen, mut events) = (watch.unwrap(), after, Vec::new());
        while seen < Revision(self.revision()) {
            let batch = stream.next().await.unwrap().unwrap();
            assert!(batch.revision > seen);
            seen = batch.revision;
            events.extend(batch.events);
        }
        let wanted =
            |event: &&Event| event.revision > after && event.key.starts_with(prefix.as_bytes());
        let expected: Vec<_> = self.events.iter().filter(wanted).cloned().collect();
        assert_eq!(events, expected);
    }

    async fn compact(&mut self, store: &Embedded, at: u64) {
        let revision = self.part(at);
        let result = store.compact(revision).await;
        if revision.0 > self.revision() {
            assert!(
                matches!(result, Err(StoreError::Future { .. })),
                "{result:?}"
            );
        } else {
            result.unwrap();
            self.compacted = self.compacted.max(revision.0);
        }
    }

    async fn check_live(&self, store: &Embedded) {
        assert_eq!(store.revision().await.unwrap(), Revision(self.revision()));
        for key in KEYS {
            let found = store.get(key.into()).await.unwrap();
            assert_eq!(found.as_ref(), self.live().get(key.as_bytes()), "{key}");
        }
    }
}
