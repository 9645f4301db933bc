//! The stream of a watch: lines of JSON, as many at once as there are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use api::status::Status;
use bytes::Bytes;
use futures::Stream;
use serde_json::json;
use store::Revision;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::accept::Shape;
use crate::api_state::Api;
use crate::codec;
use crate::options::ListOptions;
use crate::registry::{Change, ChangeKind, Stored};
use crate::render::View;
use crate::routes::Target;

/// Changes that are looked at before something is written.
const BATCH: usize = 256;

/// A client that wants bookmarks gets one this often.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Where a watch begins.
pub(super) struct Start {
    pub(super) objects: Vec<Arc<Stored>>,
    pub(super) next: u64,
    pub(super) after: Revision,
    /// The changes are not kept that far back; this is how far.
    pub(super) expired: Option<Revision>,
}

/// A running watch.
pub(super) struct Feed {
    api: Arc<Api>,
    view: View,
    namespace: String,
    options: ListOptions,
    initial: VecDeque<Arc<Stored>>,
    ends_initial: bool,
    next: u64,
    after: Revision,
    expired: Option<Revision>,
    wrote_any: bool,
    changed: watch::Receiver<u64>,
}

enum Step {
    Write(Vec<u8>),
    Wait,
    End,
}

impl Feed {
    pub(super) fn new(
        api: Arc<Api>,
        view: View,
        target: &Target,
        options: ListOptions,
        start: Start,
    ) -> Self {
        let changed = api.registry.of(target.resource).changed();
        Self {
            changed,
            api,
            view,
            namespace: target.namespace.clone(),
            ends_initial: options.send_initial_events == Some(true) && options.bookmarks,
            options,
            initial: start.objects.into(),
            next: start.next,
            after: start.after,
            expired: start.expired,
            wrote_any: false,
        }
    }

    /// Runs until the time is over.
    pub(super) fn stream(self, timeout: Duration) -> impl Stream<Item = Bytes> + Send {
        let end = Instant::now() + timeout;
        let bookmark = Instant::now() + BOOKMARK_EVERY;
        futures::stream::unfold(Some((self, bookmark)), move |state| async move {
            let (mut feed, mut bookmark) = state?;
            loop {
                match feed.step() {
                    Step::Write(bytes) => return Some((bytes.into(), Some((feed, bookmark)))),
                    Step::End => return None,
                    Step::Wait => {}
                }
                tokio::select! {
                    changed = feed.changed.changed() => changed.ok()?,
                    () = sleep_until(end) => return None,
                    () = feed.api.stopping() => return None,
                    () = sleep_until(bookmark), if feed.options.bookmarks => {
                        bookmark += BOOKMARK_EVERY;
                        let bytes = feed.progress();
                        return Some((bytes.into(), Some((feed, bookmark))));
                    }
                }
            }
        })
    }

    fn step(&mut self) -> Step {
        if let Some(oldest) = self.expired.take() {
            let after = self.after;
            self.next = u64::MAX;
            return Step::Write(error_event(&too_old(after, oldest)));
        }
        if self.next == u64::MAX {
            return Step::End;
        }
        let mut out = Vec::new();
        self.write_initial(&mut out);
        if out.is_empty() {
            self.changed.mark_unchanged();
            let cache = self.api.registry.of(self.view.resource);
            match cache.changes_from(self.next, BATCH) {
                Ok((changes, next)) => {
                    for change in &changes {
                        self.write_change(change, &mut out);
                    }
                    let more = changes.len() == BATCH;
                    self.next = next;
                    if out.is_empty() && more {
                        return self.step();
                    }
                }
                Err(expired) => {
                    self.next = u64::MAX;
                    return Step::Write(error_event(&too_old(self.after, expired.oldest)));
                }
            }
        }
        if out.is_empty() {
            Step::Wait
        } else {
            Step::Write(out)
        }
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        for _ in 0..BATCH {
            let Some(object) = self.initial.pop_front() else {
                break;
            };
            if self.selects(&object) {
                self.write_event(out, "ADDED", object.json());
            }
        }
        if !self.initial.is_empty() && out.is_empty() {
            return self.write_initial(out);
        }
        if self.initial.is_empty() && std::mem::take(&mut self.ends_initial) {
            let end = json!({"k8s.io/initial-events-end": "true"});
            self.write_bookmark(out, Some(&end));
        }
    }

    fn write_change(&mut self, change: &Change, out: &mut Vec<u8>) {
        let revision = change.object.revision();
        if revision <= self.after {
            return;
        }
        let before = change
            .previous
            .as_ref()
            .is_some_and(|object| self.selects(object));
        let lives = change.kind != ChangeKind::Deleted;
        let now = lives && self.selects(&change.object);
        match (before, now) {
            (false, true) => self.write_event(out, "ADDED", change.object.json()),
            (true, true) => self.write_event(out, "MODIFIED", change.object.json()),
            (true, false) if !lives => self.write_event(out, "DELETED", change.object.json()),
            (true, false) => {
                let last = change.previous.as_ref().map(|object| object.json());
                let json = codec::other_revision(last.unwrap_or(change.object.json()), revision);
                self.write_event(out, "DELETED", &json);
            }
            (false, false) => {}
        }
    }

    fn selects(&self, object: &Stored) -> bool {
        (self.namespace.is_empty() || object.namespace() == self.namespace)
            && self.options.fields.matches(object)
            && self.options.labels.matches(|key| object.label(key))
    }

    fn write_event(&mut self, out: &mut Vec<u8>, kind: &str, json: &Bytes) {
        let first = !std::mem::replace(&mut self.wrote_any, true);
        let shown = match self.view.form.shape {
            Shape::Whole => json.clone(),
            _ => self.view.event(json, first),
        };
        line(out, kind, &shown);
    }

    /// A bookmark at what has been seen.
    fn progress(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.after = self.after.max(self.api.registry.applied());
        self.write_bookmark(&mut out, None);
        out
    }

    fn write_bookmark(&mut self, out: &mut Vec<u8>, annotations: Option<&serde_json::Value>) {
        let resource = self.view.resource;
        let mut object = json!({
            "kind": resource.kind, "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": self.after.to_string()},
        });
        if let Some(annotations) = annotations {
            object["metadata"]["annotations"] = annotations.clone();
        }
        crate::decode::canonical(resource, &mut object);
        let first = !std::mem::replace(&mut self.wrote_any, true);
        let shown = self.view.event(&object.to_string().into(), first);
        line(out, "BOOKMARK", &shown);
    }
}

fn line(out: &mut Vec<u8>, kind: &str, json: &[u8]) {
    out.reserve(json.len() + 40);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(json);
    out.extend_from_slice(b"}\n");
}

fn error_event(status: &Status) -> Vec<u8> {
    let mut out = Vec::new();
    line(&mut out, "ERROR", status.body().to_string().as_bytes());
    out
}

fn too_old(asked: Revision, oldest: Revision) -> Status {
    Status::expired(format!("too old resource version: {asked} ({oldest})"))
}
