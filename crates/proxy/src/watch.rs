//! Watches of the four kinds, each in a task of its own, into one bounded queue.

use crate::caches::{Heard, Seen};
use crate::objects::{EndpointSlice, Node, Service, ServiceCidr};
use crate::snapshot::SELECTOR;
use futures::StreamExt;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How much may be heard before it is taken in. A watch waits for room.
const QUEUE: usize = 4096;

/// The watches' tasks, which end with it, and what they hear.
pub(crate) struct Watches {
    /// What was heard.
    pub(crate) seen: mpsc::Receiver<Seen>,
    _tasks: JoinSet<()>,
}

/// Begins to watch.
pub(crate) fn watches(client: &Client, node_name: &str) -> Watches {
    let (out, seen) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    // From the API server's cache: it may lag by moments, and the watch then catches up.
    let all = || watcher::Config::default().any_semantic();
    let ours = || all().labels(SELECTOR);
    let node = all().fields(&format!("metadata.name={node_name}"));
    tasks.spawn(watch::<Service>(
        client.clone(),
        ours(),
        out.clone(),
        Seen::Service,
    ));
    tasks.spawn(watch::<EndpointSlice>(
        client.clone(),
        ours(),
        out.clone(),
        Seen::Slice,
    ));
    tasks.spawn(watch::<Node>(client.clone(), node, out.clone(), Seen::Node));
    tasks.spawn(watch::<ServiceCidr>(
        client.clone(),
        all(),
        out,
        Seen::ServiceCidr,
    ));
    Watches {
        seen,
        _tasks: tasks,
    }
}

/// Hears one kind for ever, through failures and restarts of the API server.
async fn watch<K>(
    client: Client,
    config: watcher::Config,
    out: mpsc::Sender<Seen>,
    seen: fn(Heard<K>) -> Seen,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let kind = K::plural(&());
    let stream = watcher(Api::<K>::all(client), config).default_backoff();
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let heard = match event {
            Ok(Event::Init) => vec![Heard::ListBegins],
            Ok(Event::InitApply(object) | Event::Apply(object)) => vec![Heard::Is(object.into())],
            Ok(Event::Delete(object)) => vec![Heard::Gone(object.into())],
            Ok(Event::InitDone) => vec![Heard::ListEnds],
            // An API from before ServiceCIDRs: go on without them.
            Err(error) if is_absent(&error) && kind == "servicecidrs" => {
                vec![Heard::ListBegins, Heard::ListEnds]
            }
            Err(error) => {
                tracing::warn!(%kind, %error, "the watch failed and begins again");
                continue;
            }
        };
        for heard in heard {
            if out.send(seen(heard)).await.is_err() {
                return;
            }
        }
    }
}

fn is_absent(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code,
        _ => return false,
    };
    matches!(status, 403 | 404)
}
