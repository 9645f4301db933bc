//! Performing transactions inside one redb write: compare, plan, write, each transaction whole or not at all.

use std::collections::HashSet;

use bytes::Bytes;

use super::disk::{DELETED, LAST, Problem, Tables, newest};
use super::snapshot::load;
use crate::{
    Compare, Event, KeyValue, Operation, Revision, StoreError, Transaction, TransactionOutcome,
};

/// Refuses what cannot be performed as written: a key written twice would have two values at once.
pub(super) fn check(transaction: &Transaction) -> Result<(), StoreError> {
    let mut written = HashSet::new();
    for operation in &transaction.operations {
        let (Operation::Put { key, .. } | Operation::Delete { key }) = operation;
        if !written.insert(key) {
            let key = String::from_utf8_lossy(key);
            return Err(StoreError::Invalid(format!("it writes key {key} twice")));
        }
    }
    Ok(())
}

/// Performs one transaction; its changes take the revisions after `newest_revision`, in order, and are
/// appended to `events`.
pub(super) fn perform(
    tables: &mut Tables<'_>,
    transaction: &Transaction,
    newest_revision: Revision,
    events: &mut Vec<Event>,
) -> Result<TransactionOutcome, Problem> {
    if let Some(failed) = compare(tables, &transaction.compares)? {
        return Ok(failed);
    }
    let mut changes = plan(tables, &transaction.operations, newest_revision.0)?;
    if let Some(last) = changes.iter_mut().flatten().last() {
        last.flags |= LAST;
    }
    let revision = |change: &Option<Change>| change.as_ref().map_or(0, |change| change.revision);
    let revisions = changes.iter().map(revision).map(Revision).collect();
    for change in changes.into_iter().flatten() {
        events.push(write(tables, change)?);
    }
    Ok(TransactionOutcome::Committed { revisions })
}

/// The failed outcome of the first compare that does not hold.
fn compare(
    tables: &Tables<'_>,
    compares: &[Compare],
) -> Result<Option<TransactionOutcome>, Problem> {
    for (index, compare) in compares.iter().enumerate() {
        let live = newest(&tables.live, &compare.key)?.filter(|(_, created)| *created > 0);
        let actual = live.map_or(0, |(modified, _)| modified);
        if compare.mod_revision != Revision(actual) {
            return Ok(Some(TransactionOutcome::Failed {
                compare: index,
                actual: load(&tables.log, actual)?,
            }));
        }
    }
    Ok(None)
}

/// One row that will be written.
struct Change {
    revision: u64,
    flags: u8,
    created: u64,
    /// The key's change before, deletions included.
    before: u64,
    key: Bytes,
    value: Option<Bytes>,
}

/// What each operation changes; `None` where there is nothing to delete.
fn plan(
    tables: &Tables<'_>,
    operations: &[Operation],
    mut revision: u64,
) -> Result<Vec<Option<Change>>, Problem> {
    let mut changes = Vec::with_capacity(operations.len());
    for operation in operations {
        let (key, value) = match operation {
            Operation::Put { key, value } => (key, Some(value.clone())),
            Operation::Delete { key } => (key, None),
        };
        let (before, created) = newest(&tables.live, key)?.unwrap_or_default();
        if value.is_none() && created == 0 {
            changes.push(None);
            continue;
        }
        revision += 1;
        changes.push(Some(Change {
            revision,
            flags: if value.is_none() { DELETED } else { 0 },
            created: if created == 0 { revision } else { created },
            before,
            key: key.clone(),
            value,
        }));
    }
    Ok(changes)
}

fn write(tables: &mut Tables<'_>, change: Change) -> Result<Event, Problem> {
    let previous = previous(tables, &change)?;
    let created = if change.value.is_some() {
        change.created
    } else {
        0
    };
    let value = change.value.as_deref().unwrap_or_default();
    let row = (
        change.flags,
        change.created,
        change.before,
        &change.key[..],
        value,
    );
    tables
        .live
        .insert(&change.key[..], (change.revision, created))?;
    tables.log.insert(change.revision, row)?;
    Ok(Event {
        revision: Revision(change.revision),
        key: change.key,
        value: change.value,
        create_revision: Revision(change.created),
        previous,
    })
}

fn previous(tables: &Tables<'_>, change: &Change) -> Result<Option<KeyValue>, Problem> {
    match change.created == change.revision {
        true => Ok(None),
        false => load(&tables.log, change.before),
    }
}
