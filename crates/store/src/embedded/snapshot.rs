//! Everything up to one revision: what reads answer from, as of a commit that is on disk.

use std::ops::Bound;

use bytes::Bytes;
use redb::{AccessGuard, ReadOnlyTable, ReadableTable};

use super::disk::{COMPACTED, DELETED, Disk, LAST, LIVE, LOG, LogRow, META, Problem, newest};
use crate::{Event, EventBatch, KeyValue, RangeQuery, RangeResult, Revision, StoreError};

/// One step of a watcher through the history on disk reads so many rows, plus the rest of a transaction.
const HISTORY_ROWS: usize = 512;
/// … or so many bytes of values.
const HISTORY_BYTES: usize = 4 << 20;

/// A consistent view of the tables.
pub(super) struct Snapshot {
    live: ReadOnlyTable<&'static [u8], (u64, u64)>,
    log: ReadOnlyTable<u64, LogRow>,
    revision: u64,
    compacted: u64,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("compacted", &self.compacted)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// What the last commit left.
    pub(super) fn take(disk: &Disk) -> Result<Self, Problem> {
        let transaction = disk.begin_read()?;
        let log = transaction.open_table(LOG)?;
        let meta = transaction.open_table(META)?;
        let compacted = meta.get(COMPACTED)?.map_or(0, |row| row.value());
        let revision = log.last()?.map_or(0, |(revision, _)| revision.value());
        Ok(Self {
            live: transaction.open_table(LIVE)?,
            revision,
            compacted,
            log,
        })
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// The oldest revision that can still be read.
    pub(super) fn compacted(&self) -> Revision {
        Revision(self.compacted)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<KeyValue>, Problem> {
        match newest(&self.live, key)? {
            Some((modified, created)) if created > 0 => load(&self.log, modified),
            _ => Ok(None),
        }
    }

    pub(super) fn range(&self, query: &RangeQuery) -> Result<RangeResult, Problem> {
        let at = self.readable(query.revision)?;
        let mut result = RangeResult {
            items: Vec::new(),
            revision: Revision(at),
            remaining: 0,
        };
        let end = &query.end;
        if !end.is_empty() && query.start >= *end {
            return Ok(result);
        }
        let upper = match end.is_empty() {
            true => Bound::Unbounded,
            false => Bound::Excluded(&end[..]),
        };
        let bounds = (Bound::Included(&query.start[..]), upper);
        for row in self.live.range::<&[u8]>(bounds)? {
            let (modified, created) = row?.1.value();
            let Some(version) = self.version_at(modified, created, at)? else {
                continue;
            };
            if query.limit > 0 && result.items.len() == query.limit {
                result.remaining += 1;
            } else {
                result.items.extend(load(&self.log, version)?);
            }
        }
        Ok(result)
    }

    fn readable(&self, asked: Option<Revision>) -> Result<u64, Problem> {
        let Some(requested) = asked else {
            return Ok(self.revision);
        };
        self.check(requested).map_err(Problem::Answer)?;
        Ok(requested.0)
    }

    /// Whether reads at `requested`, and watches after it, can be answered.
    pub(super) fn check(&self, requested: Revision) -> Result<(), StoreError> {
        if requested > self.revision() {
            return Err(StoreError::Future {
                requested,
                current: self.revision(),
            });
        }
        if requested < self.compacted() {
            return Err(StoreError::Compacted {
                requested,
                oldest: self.compacted(),
            });
        }
        Ok(())
    }

    /// The revision of a key's live version at `at`, given its newest change; walks back over the later
    /// ones, so a range costs what it holds plus what happened in it since.
    fn version_at(&self, modified: u64, created: u64, at: u64) -> Result<Option<u64>, Problem> {
        if modified <= at {
            return Ok((created > 0).then_some(modified));
        }
        let mut version = modified;
        while version > at {
            let row = row(&self.log, version)?.ok_or_else(|| missing(version))?;
            version = row.value().2;
        }
        // A missing row is a deletion that compaction has removed; revision 0 is before everything.
        let found = row(&self.log, version)?;
        Ok(found.and_then(|row| (row.value().0 & DELETED == 0).then_some(version)))
    }

    /// Whole transactions after `after`, filtered by prefix: a bounded step through the history.
    pub(super) fn history(&self, prefix: &[u8], after: Revision) -> Result<EventBatch, Problem> {
        self.check(after).map_err(Problem::Answer)?;
        let mut events = Vec::new();
        let (mut seen, mut rows, mut bytes) = (after.0, 0, 0);
        for row in self.log.range(after.0 + 1..)? {
            let (revision, row) = row?;
            let (flags, _, _, key, value) = row.value();
            if revision.value() != seen + 1 {
                return Err(missing(seen + 1));
            }
            seen = revision.value();
            rows += 1;
            bytes += value.len();
            if key.starts_with(prefix) {
                events.push(self.event(seen, &row)?);
            }
            if flags & LAST != 0 && (rows >= HISTORY_ROWS || bytes >= HISTORY_BYTES) {
                break;
            }
        }
        Ok(EventBatch {
            events,
            revision: Revision(seen),
        })
    }

    fn event(&self, revision: u64, row: &AccessGuard<'_, LogRow>) -> Result<Event, Problem> {
        let (flags, created, before, key, value) = row.value();
        let deleted = flags & DELETED != 0;
        let previous = match created == revision {
            true => None,
            false => Some(load(&self.log, before)?.ok_or_else(|| missing(before))?),
        };
        Ok(Event {
            revision: Revision(revision),
            key: Bytes::copy_from_slice(key),
            value: (!deleted).then(|| Bytes::copy_from_slice(value)),
            create_revision: Revision(created),
            previous,
        })
    }
}

/// The pair that revision `revision` wrote, if its row is kept.
pub(super) fn load(
    log: &impl ReadableTable<u64, LogRow>,
    revision: u64,
) -> Result<Option<KeyValue>, Problem> {
    let found = row(log, revision)?;
    Ok(found.map(|row| {
        let (_, created, _, key, value) = row.value();
        KeyValue {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
            create_revision: Revision(created),
            mod_revision: Revision(revision),
        }
    }))
}

fn row(
    log: &impl ReadableTable<u64, LogRow>,
    revision: u64,
) -> Result<Option<AccessGuard<'_, LogRow>>, Problem> {
    Ok(log.get(revision)?)
}

fn missing(revision: u64) -> Problem {
    Problem::Corrupt(format!("revision {revision} is missing from the log"))
}
