//! Events for `kubectl describe`: written in order by one task, repeated ones counted, floods cut.
//!
//! The objects look as client-go's recorder makes them (core/v1, `count`, `source`, name from the time).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;

use crate::time::now;

/// Events that wait to be written; more than that are dropped, as client-go does.
const BACKLOG: usize = 1000;
/// The same text again within this time counts up the first one.
const SAME_WITHIN: Duration = Duration::from_secs(600);
/// How many events an object may have at once (client-go's spam filter), and how soon one more.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);
/// Beyond so many remembered events the old ones are forgotten.
const REMEMBERED: usize = 4096;

/// An event that all is well, or that something needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Normal,
    Warning,
}

/// An event to be written about some object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) level: Level,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Note {
    pub(crate) fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Normal,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            reason,
            message: message.into(),
        }
    }
}

/// Takes events of one component.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Written>,
    component: &'static str,
}

struct Written {
    component: &'static str,
    about: ObjectReference,
    note: Note,
}

impl Recorder {
    /// The recorder, and the task that has to run for events to be written.
    pub(crate) fn new(client: Client) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let recorder = Self {
            sender,
            component: "",
        };
        (recorder, write(client, receiver))
    }

    /// The same, in another component's name.
    pub(crate) fn named(&self, component: &'static str) -> Self {
        Self {
            sender: self.sender.clone(),
            component,
        }
    }

    /// Notes something about an object.
    pub(crate) fn note<K: Resource<DynamicType = ()>>(&self, object: &K, note: Note) {
        let meta = object.meta();
        let about = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            field_path: None,
        };
        let written = Written {
            component: self.component,
            about,
            note,
        };
        if self.sender.try_send(written).is_err() {
            tracing::debug!("an event was dropped: too many wait");
        }
    }
}

async fn write(client: Client, mut receiver: mpsc::Receiver<Written>) {
    let mut memory = Memory::default();
    while let Some(written) = receiver.recv().await {
        match memory.decide(&written, Instant::now()) {
            Decision::Drop => {}
            Decision::Count(known) => count_up(&client, &written, known, &mut memory).await,
            Decision::Create => create(&client, &written, &mut memory).await,
        }
    }
}

/// What is known of an event that was written before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    count: i32,
    at: Instant,
}

type Same = (&'static str, Option<String>, &'static str, String);

#[derive(Default)]
struct Memory {
    known: HashMap<Same, Known>,
    spent: HashMap<(&'static str, Option<String>), (f64, Instant)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Drop,
    Count(Known),
    Create,
}

impl Memory {
    fn decide(&mut self, written: &Written, now: Instant) -> Decision {
        self.forget(now);
        let bucket = (written.component, written.about.uid.clone());
        let (spent, since) = self.spent.get(&bucket).copied().unwrap_or((0.0, now));
        let regained = now.duration_since(since).as_secs_f64() / REFILL.as_secs_f64();
        let spent = (spent - regained).max(0.0) + 1.0;
        if spent > BURST {
            return Decision::Drop;
        }
        self.spent.insert(bucket, (spent, now));
        match self.known.get(&same(written)) {
            Some(known) if now.duration_since(known.at) < SAME_WITHIN => {
                Decision::Count(known.clone())
            }
            _ => Decision::Create,
        }
    }

    fn forget(&mut self, now: Instant) {
        if self.known.len() > REMEMBERED {
            self.known
                .retain(|_, known| now.duration_since(known.at) < SAME_WITHIN / 2);
        }
        if self.spent.len() > REMEMBERED {
            self.spent
                .retain(|_, (_, since)| now.duration_since(*since) < SAME_WITHIN);
        }
    }
}

fn same(written: &Written) -> Same {
    (
        written.component,
        written
            .about
            .uid
            .clone()
            .or_else(|| written.about.name.clone()),
        written.note.reason,
        written.note.message.clone(),
    )
}

async fn count_up(client: &Client, written: &Written, known: Known, memory: &mut Memory) {
    let api = Api::<Event>::namespaced(client.clone(), namespace(&written.about));
    let count = known.count + 1;
    let patch = json!({"count": count, "lastTimestamp": now()});
    let patched = api
        .patch(&known.name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match patched {
        Ok(_) => {
            let known = Known {
                count,
                at: Instant::now(),
                ..known
            };
            memory.known.insert(same(written), known);
        }
        // Events expire; then the next one is a first one.
        Err(_) => create(client, written, memory).await,
    }
}

async fn create(client: &Client, written: &Written, memory: &mut Memory) {
    let api = Api::<Event>::namespaced(client.clone(), namespace(&written.about));
    let event = event(written);
    match api.create(&PostParams::default(), &event).await {
        Ok(_) => {
            let known = Known {
                name: event.metadata.name.unwrap_or_default(),
                count: 1,
                at: Instant::now(),
            };
            memory.known.insert(same(written), known);
        }
        Err(problem) => {
            let (reason, message) = (written.note.reason, &written.note.message);
            tracing::debug!(%problem, reason, message, "an event could not be written");
        }
    }
}

fn event(written: &Written) -> Event {
    let about = &written.about;
    let nanoseconds = Timestamp::now().as_nanosecond();
    let name = about.name.as_deref().unwrap_or_default();
    let at: Time = now();
    let level = match written.note.level {
        Level::Normal => "Normal",
        Level::Warning => "Warning",
    };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{nanoseconds:x}")),
            namespace: Some(namespace(about).to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: about.clone(),
        type_: Some(level.to_owned()),
        reason: Some(written.note.reason.to_owned()),
        message: Some(written.note.message.clone()),
        count: Some(1),
        first_timestamp: Some(at.clone()),
        last_timestamp: Some(at),
        source: Some(EventSource {
            component: Some(written.component.to_owned()),
            host: None,
        }),
        reporting_component: Some(written.component.to_owned()),
        reporting_instance: Some(String::new()),
        ..Event::default()
    }
}

fn namespace(about: &ObjectReference) -> &str {
    match about.namespace.as_deref() {
        None | Some("") => "default",
        Some(namespace) => namespace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &str) -> Written {
        Written {
            component: "test",
            about: ObjectReference {
                uid: Some("u".to_owned()),
                ..ObjectReference::default()
            },
            note: Note::normal("Reason", message),
        }
    }

    #[test]
    fn the_same_text_is_counted_for_ten_minutes() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let known = Known {
            name: "e".to_owned(),
            count: 1,
            at: start,
        };
        assert_eq!(memory.decide(&written("a"), start), Decision::Create);
        memory.known.insert(same(&written("a")), known.clone());
        let soon = start + Duration::from_secs(60);
        assert_eq!(memory.decide(&written("a"), soon), Decision::Count(known));
        assert_eq!(memory.decide(&written("b"), soon), Decision::Create);
        let late = start + Duration::from_secs(601);
        assert_eq!(memory.decide(&written("a"), late), Decision::Create);
    }

    #[test]
    fn a_flood_about_one_object_is_cut_after_25() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let written = (0..30).map(|n| written(&n.to_string()));
        let decisions: Vec<_> = written.map(|one| memory.decide(&one, start)).collect();
        let kept = decisions
            .iter()
            .filter(|one| **one == Decision::Create)
            .count();
        assert_eq!(kept, 25);
    }
}
