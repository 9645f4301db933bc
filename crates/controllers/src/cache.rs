//! One kind's objects as the server last told them, and who wants to hear of changes.
//!
//! A cache is fed by one watch and shared by all controllers of the process. Unlike a plain reflector store
//! it hands its listeners the object before and after each change (client-go's informers do the same, and
//! what a controller must do often depends on both), and lets a writer wait until its own write has come
//! back: with that no controller needs a memory of what it did (client-go's "expectations").

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::key::Key;

/// A writer goes on after so long even if the watch has not shown its write: the watch may be broken.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(2);

/// What a cache can hold.
pub(crate) trait Object:
    Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}
impl<K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Object for K {}

/// Hears of an object as it was and as it is; one of them is `None` where it came or went.
type Listener<K> = Box<dyn Fn(Option<&K>, Option<&K>) + Send + Sync>;

/// Words under which an object is found, besides its name.
type Index<K> = fn(&K) -> Vec<String>;

/// The objects of one kind.
pub(crate) struct Cache<K: Object> {
    inner: Arc<Inner<K>>,
}

impl<K: Object> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

struct Inner<K: Object> {
    state: RwLock<State<K>>,
    index: Index<K>,
    listeners: Mutex<Vec<Listener<K>>>,
    progress: watch::Sender<Progress>,
}

struct State<K> {
    objects: BTreeMap<Key, Arc<K>>,
    by_word: BTreeMap<(String, Key), Arc<K>>,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    ready: bool,
    /// The newest revision seen. Comparing revisions as numbers is allowed since Kubernetes 1.35 (KEP-5504).
    revision: u64,
}

impl<K: Object> Cache<K> {
    /// An empty cache; [`Cache::follow`] fills it.
    pub(crate) fn new(index: Index<K>) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: RwLock::new(State {
                    objects: BTreeMap::new(),
                    by_word: BTreeMap::new(),
                }),
                index,
                listeners: Mutex::new(Vec::new()),
                progress: watch::Sender::new(Progress::default()),
            }),
        }
    }

    /// Keeps the cache like the server's objects, for as long as it is polled.
    pub(crate) async fn follow(&self, api: Api<K>, config: watcher::Config) {
        let stream = kube::runtime::watcher(api, config).default_backoff();
        let mut stream = std::pin::pin!(stream);
        let mut listed = HashSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => self.inner.take(event, &mut listed),
                Err(problem) => tracing::warn!(%problem, kind = kind_name::<K>(), "watch broke"),
            }
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.inner.read(|state| state.objects.get(key).cloned())
    }

    /// All objects of a namespace, by name.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = Key::new(namespace, "");
        self.inner.read(|state| {
            let after = state.objects.range(first..);
            let of_it = after.take_while(|(key, _)| key.namespace == namespace);
            of_it.map(|(_, object)| Arc::clone(object)).collect()
        })
    }

    /// All objects that the cache's index files under this word.
    pub(crate) fn with_word(&self, word: &str) -> Vec<Arc<K>> {
        let first = (word.to_owned(), Key::default());
        self.inner.read(|state| {
            let after = state.by_word.range(first..);
            let of_it = after.take_while(|((filed, _), _)| filed == word);
            of_it.map(|(_, object)| Arc::clone(object)).collect()
        })
    }

    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.inner
            .read(|state| state.objects.values().cloned().collect())
    }

    /// Calls `listener` for every object there is and for every change from now on.
    pub(crate) fn listen(&self, listener: impl Fn(Option<&K>, Option<&K>) + Send + Sync + 'static) {
        let mut listeners = lock(&self.inner.listeners);
        for object in self.all() {
            listener(None, Some(&object));
        }
        listeners.push(Box::new(listener));
    }

    /// Returns when the server's first list is in.
    pub(crate) async fn ready(&self) {
        let mut progress = self.inner.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.ready).await;
    }

    /// Returns when the cache has seen what a write returned.
    pub(crate) async fn catch_up(&self, written: &K) {
        let revision = revision_of(written);
        let mut progress = self.inner.progress.subscribe();
        let seen = progress.wait_for(|progress| progress.revision >= revision);
        if tokio::time::timeout(CATCH_UP_LIMIT, seen).await.is_err() {
            tracing::debug!(
                kind = kind_name::<K>(),
                revision,
                "the watch is behind a write"
            );
        }
    }

    /// Returns when the object with this uid is gone from the cache or marked as deleted.
    pub(crate) async fn catch_up_with_deletion(&self, key: &Key, uid: &str) {
        let mut progress = self.inner.progress.subscribe();
        let gone = progress.wait_for(|_| match self.get(key) {
            Some(object) => {
                let meta = object.meta();
                meta.uid.as_deref() != Some(uid) || meta.deletion_timestamp.is_some()
            }
            None => true,
        });
        let _ = tokio::time::timeout(CATCH_UP_LIMIT, gone).await;
    }
}

impl<K: Object> Inner<K> {
    fn read<T>(&self, f: impl FnOnce(&State<K>) -> T) -> T {
        f(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, event: Event<K>, listed: &mut HashSet<Key>) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.insert(Key::of(&object));
                self.put(object);
            }
            Event::InitDone => {
                let known = self.read(|state| state.objects.keys().cloned().collect::<Vec<_>>());
                for key in known.iter().filter(|key| !listed.contains(key)) {
                    self.remove(key, 0);
                }
                listed.clear();
                self.progress.send_modify(|progress| progress.ready = true);
            }
            Event::Apply(object) => self.put(object),
            Event::Delete(object) => self.remove(&Key::of(&object), revision_of(&object)),
        }
    }

    fn put(&self, mut object: K) {
        // Nobody here reads them, and a write that leaves them out keeps them.
        object.meta_mut().managed_fields = None;
        let (key, object) = (Key::of(&object), Arc::new(object));
        let listeners = lock(&self.listeners);
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let old = state.objects.insert(key.clone(), Arc::clone(&object));
            state.file(self.index, &key, old.as_deref(), Some(&object));
            old
        };
        self.seen(revision_of(&*object));
        for listener in listeners.iter() {
            listener(old.as_deref(), Some(&object));
        }
    }

    fn remove(&self, key: &Key, revision: u64) {
        let listeners = lock(&self.listeners);
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let old = state.objects.remove(key);
            state.file(self.index, key, old.as_deref(), None);
            old
        };
        self.seen(revision);
        if let Some(old) = &old {
            for listener in listeners.iter() {
                listener(Some(old), None);
            }
        }
    }

    fn seen(&self, revision: u64) {
        self.progress
            .send_modify(|progress| progress.revision = progress.revision.max(revision));
    }
}

impl<K> State<K> {
    fn file(&mut self, index: Index<K>, key: &Key, old: Option<&K>, new: Option<&Arc<K>>) {
        for word in old.map(index).unwrap_or_default() {
            self.by_word.remove(&(word, key.clone()));
        }
        if let Some(new) = new {
            for word in index(new) {
                self.by_word.insert((word, key.clone()), Arc::clone(new));
            }
        }
    }
}

/// For kinds that are only found by name.
pub(crate) fn no_index<K>(_: &K) -> Vec<String> {
    Vec::new()
}

fn revision_of<K: Resource>(object: &K) -> u64 {
    let revision = object.meta().resource_version.as_deref();
    revision
        .and_then(|revision| revision.parse().ok())
        .unwrap_or(0)
}

fn kind_name<K>() -> &'static str {
    let path = std::any::type_name::<K>();
    path.rsplit("::").next().unwrap_or(path)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn map(name: &str, revision: &str, word: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.to_owned());
        map.metadata.resource_version = Some(revision.to_owned());
        map.metadata.labels = Some([("word".to_owned(), word.to_owned())].into());
        map
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_fills_files_and_tells() {
        let words: Index<ConfigMap> = |map| {
            map.metadata
                .labels
                .iter()
                .flatten()
                .map(|(_, word)| word.clone())
                .collect()
        };
        let cache = Cache::new(words);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        let revision = |map: Option<&ConfigMap>| map.map_or(0, revision_of);
        cache.listen(move |old, new| lock(&log).push((revision(old), revision(new))));
        let mut listed = HashSet::new();
        let events = [
            Event::Init,
            Event::InitApply(map("a", "1", "x")),
            Event::InitApply(map("b", "2", "x")),
            Event::InitDone,
            Event::Apply(map("a", "3", "y")),
            Event::Init,
            Event::InitApply(map("a", "3", "y")),
            Event::InitDone,
        ];
        for event in events {
            cache.inner.take(event, &mut listed);
        }
        cache.ready().await;
        cache.catch_up(&map("a", "3", "y")).await;
        assert_eq!(*lock(&heard), [(0, 1), (0, 2), (1, 3), (3, 3), (2, 0)]);
        assert_eq!(
            (cache.with_word("x").len(), cache.with_word("y").len()),
            (0, 1)
        );
        assert!(
            cache.get(&Key::new("", "b")).is_none(),
            "not in the second list"
        );
    }
}
