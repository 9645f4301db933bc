//! ConfigMaps and Secrets that pods mount, followed while a pod needs them: one watch each, however many pods.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What an object holds: keys and bytes.
pub(crate) type Data = BTreeMap<String, Vec<u8>>;

/// Which kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

/// What is known of a followed object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Seen {
    /// The API server has not answered yet.
    #[default]
    NotYet,
    Absent,
    Present(Arc<Data>),
}

/// Kind, namespace, name.
type Key = (Kind, String, String);

/// All objects that are followed.
#[derive(Default)]
pub(crate) struct Objects {
    known: Mutex<HashMap<Key, Weak<Followed>>>,
}

/// A followed object; the watch ends with its last holder.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Objects {
    /// Follows an object, or joins whoever does.
    pub(crate) fn follow(
        &self,
        client: &kube::Client,
        (kind, namespace, name): (Kind, &str, &str),
    ) -> Arc<Followed> {
        let key = (kind, namespace.to_owned(), name.to_owned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(followed) = known.get(&key).and_then(Weak::upgrade) {
            return followed;
        }
        known.retain(|_, followed| followed.strong_count() > 0);
        let followed = Arc::new(Followed::start(client.clone(), &key));
        known.insert(key, Arc::downgrade(&followed));
        followed
    }
}

impl Followed {
    fn start(client: kube::Client, (kind, namespace, name): &Key) -> Self {
        let (sender, seen) = watch::channel(Seen::NotYet);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let task = match kind {
            Kind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(client, namespace);
                tokio::spawn(follow(api, config, config_map_data, sender))
            }
            Kind::Secret => {
                let api: Api<Secret> = Api::namespaced(client, namespace);
                tokio::spawn(follow(api, config, secret_data, sender))
            }
        };
        Self {
            kind: *kind,
            name: name.clone(),
            seen,
            task,
        }
    }

    /// What is known of it now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    data: fn(K) -> Data,
    sender: watch::Sender<Seen>,
) where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let stream = watcher(api, config).default_backoff();
    pin_mut!(stream);
    let mut listed = Seen::Absent;
    while let Some(event) = stream.next().await {
        let seen = match event {
            Ok(watcher::Event::Init) => {
                listed = Seen::Absent;
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                listed = Seen::Present(Arc::new(data(object)));
                continue;
            }
            Ok(watcher::Event::InitDone) => listed.clone(),
            Ok(watcher::Event::Apply(object)) => Seen::Present(Arc::new(data(object))),
            Ok(watcher::Event::Delete(_)) => Seen::Absent,
            Err(error) => {
                tracing::debug!(%error, "following an object of a volume");
                continue;
            }
        };
        sender.send_if_modified(|known| {
            let changed = *known != seen;
            *known = seen;
            changed
        });
    }
}

/// Texts and bytes alike.
pub(crate) fn config_map_data(object: ConfigMap) -> Data {
    let texts = object.data.unwrap_or_default();
    let texts = texts
        .into_iter()
        .map(|(key, value)| (key, value.into_bytes()));
    let bytes = object.binary_data.unwrap_or_default();
    texts
        .chain(bytes.into_iter().map(|(key, value)| (key, value.0)))
        .collect()
}

/// A Secret's bytes.
pub(crate) fn secret_data(object: Secret) -> Data {
    let data = object.data.unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| (key, value.0))
        .collect()
}
