//! Compares, operations and their outcomes.

use super::Subject;
use crate::{Revision, StoreError, Transaction, TransactionOutcome};

pub(super) async fn put_creates_and_replaces(subject: &Subject) {
    let before = subject.revision().await;
    assert_eq!(subject.get("a").await, None);
    let created = subject.write("a", "1").await;
    assert!(created > before);
    assert!(subject.revision().await >= created);
    let replaced = subject.write("a", "2").await;
    assert!(replaced > created);
    let pair = subject.get("a").await.expect("it was put");
    assert_eq!(pair.key, subject.key("a"));
    assert_eq!(pair.value, "2");
    assert_eq!(
        (pair.create_revision, pair.mod_revision),
        (created, replaced)
    );
}

pub(super) async fn delete_removes_and_a_later_put_creates_anew(subject: &Subject) {
    let created = subject.write("a", "1").await;
    let deleted = subject.remove("a").await;
    assert!(deleted > created);
    assert_eq!(subject.get("a").await, None);
    let again = subject.write("a", "2").await;
    let pair = subject.get("a").await.expect("it was put again");
    assert_eq!((pair.create_revision, pair.mod_revision), (again, again));
}

pub(super) async fn deleting_nothing_writes_nothing(subject: &Subject) {
    let before = subject.write("a", "1").await;
    assert_eq!(subject.remove("absent").await, Revision(0));
    let mixed = subject
        .commit([subject.delete("absent"), subject.put("b", "1")])
        .await;
    assert_eq!(mixed[0], Revision(0));
    assert!(mixed[1] > before);
    assert_eq!(subject.list(None).await, "a=1 b=1");
}

pub(super) async fn operations_happen_together(subject: &Subject) {
    subject.write("old", "1").await;
    let operations = [
        subject.put("a", "1"),
        subject.delete("old"),
        subject.put("b", "2"),
    ];
    let revisions = subject.commit(operations).await;
    assert_eq!(revisions.len(), 3);
    assert!(revisions.is_sorted(), "{revisions:?}");
    assert_eq!(subject.list(None).await, "a=1 b=2");
    let pair = subject.get("b").await.expect("it was put");
    assert_eq!(pair.mod_revision, revisions[2]);
}

pub(super) async fn failed_compare_writes_nothing_and_tells_what_is_there(subject: &Subject) {
    let a = subject.write("a", "1").await;
    let b = subject.write("b", "1").await;
    let operations = [subject.put("a", "2"), subject.put("c", "2")];
    let outcome = subject.attempt(&[("a", a), ("b", a)], operations).await;
    let TransactionOutcome::Failed { compare, actual } = outcome else {
        panic!("a wrong compare held");
    };
    assert_eq!(compare, 1);
    let actual = actual.expect("the key is there");
    assert_eq!((&actual.value[..], actual.mod_revision), (&b"1"[..], b));
    assert_eq!(subject.list(None).await, "a=1 b=1");
    let right = subject
        .attempt(&[("a", a), ("b", b)], [subject.put("a", "3")])
        .await;
    assert!(
        matches!(right, TransactionOutcome::Committed { .. }),
        "{right:?}"
    );
    assert_eq!(subject.list(None).await, "a=3 b=1");
}

pub(super) async fn compare_with_zero_means_absent(subject: &Subject) {
    let create =
        |value: &'static str| subject.attempt(&[("a", Revision(0))], [subject.put("a", value)]);
    assert!(matches!(
        create("1").await,
        TransactionOutcome::Committed { .. }
    ));
    assert!(matches!(
        create("2").await,
        TransactionOutcome::Failed { .. }
    ));
    let deleted = subject.remove("a").await;
    assert!(matches!(
        create("3").await,
        TransactionOutcome::Committed { .. }
    ));
    subject.remove("a").await;
    let outcome = subject
        .attempt(&[("a", deleted)], [subject.put("a", "4")])
        .await;
    let absent = TransactionOutcome::Failed {
        compare: 0,
        actual: None,
    };
    assert_eq!(
        outcome, absent,
        "a deleted key's revision is no longer its own"
    );
}

pub(super) async fn key_written_twice_is_invalid(subject: &Subject) {
    let transaction = Transaction {
        compares: Vec::new(),
        operations: vec![subject.put("a", "1"), subject.delete("a")],
    };
    let result = subject.store.transact(transaction).await;
    assert!(matches!(result, Err(StoreError::Invalid(_))), "{result:?}");
    assert_eq!(subject.get("a").await, None);
}

pub(super) async fn empty_transaction_commits(subject: &Subject) {
    assert_eq!(subject.commit([]).await, []);
}

pub(super) async fn racing_compares_let_one_win(subject: &Subject) {
    let base = subject.write("a", "base").await;
    let race = async |n: usize| {
        let put = subject.put("a", format!("writer {n}"));
        subject.attempt(&[("a", base)], [put]).await
    };
    let outcomes = futures::future::join_all((0..16).map(race)).await;
    let won =
        |outcome: &TransactionOutcome| matches!(outcome, TransactionOutcome::Committed { .. });
    let winners: Vec<_> = (0..16).filter(|n| won(&outcomes[*n])).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let pair = subject.get("a").await.expect("it was put");
    assert_eq!(pair.value, format!("writer {}", winners[0]));
    for outcome in outcomes {
        if let TransactionOutcome::Failed { actual, .. } = outcome {
            assert_eq!(actual.as_ref(), Some(&pair));
        }
    }
}
