//! One kind's objects as they are now, and its recent changes for watches.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use api::resource::Resource;
use store::{Event, Revision};
use tokio::sync::watch;

use super::stored::{ByKey, Stored};
use crate::keys;

/// Changes kept per kind; a watch that asks for older ones is told to list again.
const LOG_LIMIT: usize = 4_096;

/// Of which so many bytes at most; the newest change is always kept.
const LOG_BYTES: usize = 4 << 20;

/// One kind's watch cache.
pub struct Cache {
    resource: &'static Resource,
    prefix: String,
    state: RwLock<State>,
    changed: watch::Sender<u64>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another version.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change. The object of a deletion is the last version with the deletion's revision.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The object after the change.
    pub object: Arc<Stored>,
    /// The version before, if there was one.
    pub previous: Option<Arc<Stored>>,
}

/// The changes after the asked revision are no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Changes after this revision are kept.
    pub oldest: Revision,
}

/// A kind's objects at one moment.
pub struct Snapshot {
    /// In key order.
    pub objects: Vec<Arc<Stored>>,
    /// The last change of the kind; zero when there was none since the start.
    pub revision: Revision,
    /// The number of the change that follows, for [`Cache::changes_from`].
    pub next: u64,
}

#[derive(Default)]
struct State {
    objects: BTreeSet<ByKey>,
    log: VecDeque<Change>,
    log_bytes: usize,
    /// The number of the log's first change, counting from the start.
    first: u64,
    /// Changes after this revision are in the log.
    floor: Revision,
    /// The last change of this kind.
    revision: Revision,
}

impl Cache {
    pub(super) fn new(resource: &'static Resource) -> Self {
        Self {
            resource,
            prefix: keys::kind(resource),
            state: RwLock::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// The kind.
    pub fn resource(&self) -> &'static Resource {
        self.resource
    }

    /// What the keys of the kind start with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// An object by namespace (empty for what has none) and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let key = if self.resource.namespaced {
            &format!("{namespace}/{name}")
        } else {
            name
        };
        self.read().objects.get(key).map(|found| found.0.clone())
    }

    /// All objects, of one namespace if it is not empty.
    pub fn list(&self, namespace: &str) -> Snapshot {
        self.list_after(namespace, None)
    }

    /// As [`Cache::list`], from behind this key on.
    pub fn list_after(&self, namespace: &str, after: Option<&str>) -> Snapshot {
        let state = self.read();
        let prefix = if namespace.is_empty() {
            String::new()
        } else {
            format!("{namespace}/")
        };
        let start = after.map_or(Bound::Included(prefix.as_str()), Bound::Excluded);
        let range = state.objects.range::<str, _>((start, Bound::Unbounded));
        let objects = range
            .take_while(|object| object.0.key().starts_with(&prefix))
            .map(|object| object.0.clone());
        Snapshot {
            objects: objects.collect(),
            revision: state.revision,
            next: state.next(),
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last change of this kind.
    pub fn revision(&self) -> Revision {
        self.read().revision
    }

    /// The number of the first change after this revision.
    ///
    /// # Errors
    /// [`Expired`] when not all changes since then are kept.
    pub fn position_after(&self, revision: Revision) -> Result<u64, Expired> {
        let state = self.read();
        if revision < state.floor {
            let oldest = state.floor;
            return Err(Expired { oldest });
        }
        let seen = state
            .log
            .partition_point(|change| change.object.revision() <= revision);
        Ok(state.first + seen as u64)
    }

    /// Up to `limit` changes from this number on, and the number after them.
    ///
    /// # Errors
    /// [`Expired`] when the reader was too slow.
    pub fn changes_from(&self, next: u64, limit: usize) -> Result<(Vec<Change>, u64), Expired> {
        let state = self.read();
        let Some(skip) = next.checked_sub(state.first) else {
            let oldest = state.floor;
            return Err(Expired { oldest });
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let changes: Vec<Change> = state.log.iter().skip(skip).take(limit).cloned().collect();
        let next = next + changes.len() as u64;
        Ok((changes, next))
    }

    /// Woken at every change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Puts in what is stored at the start.
    pub(super) fn insert(&self, object: Stored) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.objects.replace(ByKey(Arc::new(object)));
    }

    /// Forgets all; the changes up to `revision` are not known.
    pub(super) fn reset(&self, revision: Revision) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let first = state.next() + 1; // so that every running watch notices
        *state = State {
            first,
            floor: revision,
            revision: Revision::default(),
            ..State::default()
        };
    }

    /// Changes up to here are history that no watch can begin with: the server's own beginning.
    pub(super) fn begin(&self, revision: Revision) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.floor = state.floor.max(revision);
    }

    /// Applies the store's events of this kind.
    pub(super) fn apply<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let parsed = events.map(|event| (event, self.parse(event)));
        let parsed: Vec<(&Event, Stored)> = parsed.filter_map(|(e, s)| Some((e, s?))).collect();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (event, object) in parsed {
            state.apply(event.value.is_some(), Arc::new(object));
        }
        let next = state.next();
        drop(state);
        self.changed.send_replace(next);
    }

    fn parse(&self, event: &Event) -> Option<Stored> {
        let key = std::str::from_utf8(event.key.get(self.prefix.len()..)?).ok()?;
        let value = match (&event.value, &event.previous) {
            (Some(value), _) => value,
            (None, previous) => &previous.as_ref()?.value,
        };
        Some(Stored::new(self.resource, key, value, event.revision))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    fn apply(&mut self, lives: bool, object: Arc<Stored>) {
        self.revision = object.revision();
        let previous = self.objects.take(object.key()).map(|found| found.0);
        let kind = match (lives, &previous) {
            (false, _) => ChangeKind::Deleted,
            (true, Some(_)) => ChangeKind::Modified,
            (true, None) => ChangeKind::Added,
        };
        if lives {
            self.objects.insert(ByKey(object.clone()));
        }
        self.log_bytes += object.json().len();
        self.log.push_back(Change {
            kind,
            object,
            previous,
        });
        while self.log.len() > LOG_LIMIT || (self.log_bytes > LOG_BYTES && self.log.len() > 1) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(change) = self.log.pop_front() {
            self.log_bytes -= change.object.json().len();
            self.floor = change.object.revision();
            self.first += 1;
        }
    }
}
