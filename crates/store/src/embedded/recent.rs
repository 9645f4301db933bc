//! The newest events in memory, bounded, so that watchers that keep up never read the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Event, Revision};

/// So many events are kept …
const EVENTS: usize = 8192;
/// … or so many bytes of keys and values, whichever is less.
const BYTES: usize = 16 << 20;

/// The events of one commit.
#[derive(Debug)]
pub(super) struct Commit {
    /// In revision order, whole transactions.
    pub(super) events: Vec<Event>,
    /// The last event's revision.
    pub(super) revision: Revision,
    bytes: usize,
}

impl Commit {
    pub(super) fn new(events: Vec<Event>, revision: Revision) -> Self {
        let bytes = events.iter().map(size).sum();
        Self {
            events,
            revision,
            bytes,
        }
    }
}

fn size(event: &Event) -> usize {
    let value = event.value.as_ref().map_or(0, bytes::Bytes::len);
    let previous = event.previous.as_ref().map_or(0, |pair| pair.value.len());
    event.key.len() + value + previous
}

/// Commits after [`Recent::start`] without a gap.
#[derive(Debug)]
pub(super) struct Recent {
    start: Revision,
    commits: VecDeque<Arc<Commit>>,
    events: usize,
    bytes: usize,
}

impl Recent {
    /// Nothing yet, in a store whose newest revision is `start`.
    pub(super) fn new(start: Revision) -> Self {
        Self {
            start,
            commits: VecDeque::new(),
            events: 0,
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, commit: Commit) {
        self.events += commit.events.len();
        self.bytes += commit.bytes;
        self.commits.push_back(Arc::new(commit));
        while self.events > EVENTS || self.bytes > BYTES {
            let Some(oldest) = self.commits.pop_front() else {
                break;
            };
            self.start = oldest.revision;
            self.events -= oldest.events.len();
            self.bytes -= oldest.bytes;
        }
    }

    /// The commits after `after` up to `until`; at most about `limit` events, but at least one commit.
    /// `None` when the oldest of them is no longer here.
    pub(super) fn after(
        &self,
        after: Revision,
        until: Revision,
        limit: usize,
    ) -> Option<Vec<Arc<Commit>>> {
        if after < self.start {
            return None;
        }
        let first = self
            .commits
            .partition_point(|commit| commit.revision <= after);
        let mut events = 0;
        let commits = self.commits.range(first..);
        let wanted = commits.take_while(|commit| {
            let more = events < limit && commit.revision <= until;
            events += commit.events.len();
            more
        });
        Some(wanted.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(from: u64, to: u64, bytes: usize) -> Commit {
        let event = |revision| Event {
            revision: Revision(revision),
            key: "k".into(),
            value: Some(vec![0; bytes].into()),
            create_revision: Revision(1),
            previous: None,
        };
        Commit::new((from..=to).map(event).collect(), Revision(to))
    }

    fn revisions(recent: &Recent, after: u64, until: u64, limit: usize) -> Option<Vec<u64>> {
        let commits = recent.after(Revision(after), Revision(until), limit)?;
        Some(commits.iter().map(|commit| commit.revision.0).collect())
    }

    #[test]
    fn gives_whole_commits_after_a_revision() {
        let mut recent = Recent::new(Revision(10));
        for (from, to) in [(11, 12), (13, 13), (14, 20)] {
            recent.push(commit(from, to, 1));
        }
        assert_eq!(revisions(&recent, 9, 20, 99), None);
        assert_eq!(revisions(&recent, 10, 20, 99), Some(vec![12, 13, 20]));
        assert_eq!(revisions(&recent, 11, 20, 99), Some(vec![12, 13, 20]));
        assert_eq!(revisions(&recent, 12, 13, 99), Some(vec![13]));
        assert_eq!(revisions(&recent, 10, 20, 1), Some(vec![12]));
        assert_eq!(revisions(&recent, 20, 20, 99), Some(vec![]));
    }

    #[test]
    fn forgets_the_oldest_when_full_by_count_or_bytes() {
        let mut recent = Recent::new(Revision(0));
        for revision in 1..=EVENTS as u64 + 5 {
            recent.push(commit(revision, revision, 1));
        }
        assert_eq!(recent.start, Revision(5));
        recent.push(commit(EVENTS as u64 + 6, EVENTS as u64 + 6, BYTES));
        assert_eq!(recent.commits.len(), 0);
        assert_eq!((recent.events, recent.bytes), (0, 0));
        assert_eq!(recent.start, Revision(EVENTS as u64 + 6));
    }
}
