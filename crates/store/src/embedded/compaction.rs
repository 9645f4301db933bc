//! Forgetting history: first the promise is withdrawn, then the rows are swept, a bounded number at a time.
//!
//! Rows that are swept: each change that a later one up to the compacted revision replaced, and deletions
//! up to there. What remains at or below it is one row per key that was live then, so a later change of
//! that key still finds the value it replaced.

#[cfg(test)]
mod tests;

use redb::ReadableTable;

use super::disk::{COMPACTED, DELETED, Problem, SWEPT, Tables, newest};

/// How far history is forgotten, in promise and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The oldest revision that can still be read.
    pub(super) compacted: u64,
    /// Rows up to here were swept.
    pub(super) swept: u64,
}

impl Progress {
    pub(super) fn load(tables: &Tables<'_>) -> Result<Self, Problem> {
        let read = |name| {
            tables
                .meta
                .get(name)
                .map(|row| row.map_or(0, |row| row.value()))
        };
        Ok(Self {
            compacted: read(COMPACTED)?,
            swept: read(SWEPT)?,
        })
    }

    /// Rows that can be swept up to here, in a store at `revision`: the newest row stays, because it is
    /// what the next revision is counted from.
    fn sweepable(self, revision: u64) -> u64 {
        self.compacted.min(revision.saturating_sub(1))
    }

    pub(super) fn sweep_is_due(self, revision: u64) -> bool {
        self.swept < self.sweepable(revision)
    }
}

/// The revision to compact to so that `keep` remain (zero: all); in steps of an eighth, so that not every
/// commit moves it.
pub(super) fn due(progress: Progress, revision: u64, keep: u64) -> Option<u64> {
    let kept = revision.saturating_sub(progress.compacted);
    (keep > 0 && kept > keep + keep / 8).then(|| revision - keep)
}

/// Withdraws the promise to answer for revisions before `revision`.
pub(super) fn promise(
    tables: &mut Tables<'_>,
    progress: &mut Progress,
    revision: u64,
) -> Result<(), Problem> {
    if revision > progress.compacted {
        progress.compacted = revision;
        tables.meta.insert(COMPACTED, revision)?;
    }
    Ok(())
}

/// Sweeps about `rows` rows of the log of a store at `revision`.
pub(super) fn sweep(
    tables: &mut Tables<'_>,
    progress: &mut Progress,
    revision: u64,
    rows: usize,
) -> Result<(), Problem> {
    let until = progress.sweepable(revision);
    if progress.swept >= until {
        return Ok(());
    }
    let found = useless(tables, progress.swept + 1, until, rows)?;
    for row in &found {
        row.remove(tables)?;
    }
    let full = found.len() == rows;
    progress.swept = found
        .last()
        .filter(|_| full)
        .map_or(until, |row| row.revision);
    tables.meta.insert(SWEPT, progress.swept)?;
    Ok(())
}

/// What one row of the log makes useless.
struct Useless {
    revision: u64,
    /// The change that it replaced.
    before: u64,
    /// The key, when the row is a deletion and so useless itself.
    deleted: Option<Vec<u8>>,
}

fn useless(
    tables: &Tables<'_>,
    from: u64,
    until: u64,
    rows: usize,
) -> Result<Vec<Useless>, Problem> {
    let mut found = Vec::new();
    for row in tables.log.range(from..=until)?.take(rows) {
        let (revision, row) = row?;
        let (flags, _, before, key, _) = row.value();
        found.push(Useless {
            revision: revision.value(),
            before,
            deleted: (flags & DELETED != 0).then(|| key.to_vec()),
        });
    }
    Ok(found)
}

impl Useless {
    fn remove(&self, tables: &mut Tables<'_>) -> Result<(), Problem> {
        if self.before > 0 {
            tables.log.remove(self.before)?;
        }
        let Some(key) = &self.deleted else {
            return Ok(());
        };
        tables.log.remove(self.revision)?;
        let newest = newest(&tables.live, key)?;
        if newest.is_some_and(|(modified, _)| modified == self.revision) {
            tables.live.remove(&key[..])?;
        }
        Ok(())
    }
}
