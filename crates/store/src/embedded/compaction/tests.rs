//! What a sweep leaves: exactly what is still needed.

use redb::ReadableTable;

use super::super::disk::Disk;
use super::super::group;
use super::*;
use crate::{Operation, Revision, Transaction};

/// Performs `changes` (`+key` puts, `-key` deletes), compacts to `revision`, sweeps in steps of `rows`
/// and tells which revisions of the log and which keys are left.
fn left(changes: &str, revision: u64, rows: usize) -> String {
    let backend = redb::backends::InMemoryBackend::new();
    let database = redb::Builder::new().create_with_backend(backend);
    let disk = Disk::with("memory".as_ref(), database).unwrap();
    let transaction = disk.begin_write().unwrap();
    let mut tables = Tables::open(&transaction).unwrap();
    let newest = perform(&mut tables, changes);
    let mut progress = Progress::load(&tables).unwrap();
    promise(&mut tables, &mut progress, revision).unwrap();
    while progress.sweep_is_due(newest) {
        let before = progress.swept;
        sweep(&mut tables, &mut progress, newest, rows).unwrap();
        assert!(progress.swept > before && progress.swept - before <= rows as u64);
    }
    assert_eq!(Progress::load(&tables).unwrap(), progress);
    words(&tables)
}

fn perform(tables: &mut Tables<'_>, changes: &str) -> u64 {
    let mut events = Vec::new();
    for change in changes.split(' ') {
        let (kind, key) = change.split_at(1);
        let (key, value) = (key.to_owned().into(), "v".into());
        let operation = match kind {
            "+" => Operation::Put { key, value },
            _ => Operation::Delete { key },
        };
        let transaction = Transaction {
            operations: vec![operation],
            ..Transaction::default()
        };
        let newest = Revision(events.len() as u64);
        group::perform(tables, &transaction, newest, &mut events).unwrap();
    }
    events.len() as u64
}

fn words(tables: &Tables<'_>) -> String {
    let log = tables.log.iter().unwrap();
    let log: Vec<_> = log.map(|row| row.unwrap().0.value().to_string()).collect();
    let live = tables.live.iter().unwrap();
    let key = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
    let live: Vec<_> = live.map(|row| key(row.unwrap().0.value())).collect();
    format!("{} | {}", log.join(" "), live.join(" "))
}

#[test]
fn a_sweep_leaves_what_lived_then_and_what_came_later() {
    for (changes, revision, expected) in [
        ("+a +b +c", 3, "1 2 3 | a b c"),
        ("+a +a +a +b", 3, "3 4 | a b"),
        ("+a +a +a +b", 2, "2 3 4 | a b"),
        ("+a +b -a +c", 3, "2 4 | b c"),
        ("+a +b -a +a", 3, "2 4 | a b"),
        ("+a +b -a +c", 2, "1 2 3 4 | a b c"),
        ("+a -a +a -a +a +b", 5, "5 6 | a b"),
        // The newest row stays although it is a deletion: the next revision is counted from it.
        ("+a +b -a", 3, "1 2 3 | a b"),
        ("+a +b", 0, "1 2 | a b"),
    ] {
        for rows in [1, 2, 100] {
            assert_eq!(
                left(changes, revision, rows),
                expected,
                "{changes} to {revision} by {rows}"
            );
        }
    }
}

#[test]
fn the_policy_acts_in_steps_of_an_eighth() {
    let progress = |compacted| Progress {
        compacted,
        swept: 0,
    };
    for (compacted, revision, keep, expected) in [
        (0, 900, 800, None),
        (0, 901, 800, Some(101)),
        (101, 1001, 800, None),
        (101, 1002, 800, Some(202)),
        (0, 1_000_000, 0, None),
        (5, 6, 1, None),
        (5, 7, 1, Some(6)),
    ] {
        assert_eq!(
            due(progress(compacted), revision, keep),
            expected,
            "{revision}, keep {keep}"
        );
    }
}
