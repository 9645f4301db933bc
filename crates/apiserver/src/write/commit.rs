//! The transaction at the end of a round.

use api::status::Status;
use bytes::Bytes;
use serde_json::Value;
use store::{Compare, Operation, Revision, Transaction, TransactionOutcome};

use super::{Old, Round, Write, Written};
use crate::api_state::store_failed;
use crate::codec;
use crate::keys;
use crate::registry::Stored;
use crate::reserve::{Lost, Reservation, WriteContext};

/// How a transaction ended.
enum Committed {
    /// Durable, at this revision of the object.
    At(Revision),
    /// Another round may succeed.
    Lost,
}

impl Write<'_> {
    /// Stores the object.
    pub(crate) async fn commit_put(
        &self,
        old: Option<&Stored>,
        name: &str,
        object: &Value,
        reservation: Reservation,
    ) -> Result<Round, Status> {
        let value = codec::encode(object);
        let created = old.is_none();
        if self.dry_run {
            let json = match old {
                Some(old) => codec::with_revision(&value, old.revision()),
                None => value,
            };
            return Ok(Round::Done(Written { json, created }));
        }
        let key = keys::object(self.target.resource, &self.target.namespace, name);
        let put = Operation::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let before = Compare {
            key,
            mod_revision: old.map(Stored::revision).unwrap_or_default(),
        };
        Ok(match self.commit(before, put, reservation).await? {
            Committed::Lost => Round::Lost,
            Committed::At(revision) => {
                let json = codec::with_revision(&value, revision);
                Round::Done(Written { json, created })
            }
        })
    }

    /// Removes the object. `last` is what the answer shows where it is not what is stored: it keeps the stored
    /// version then, as upstream answers the write that takes off the last finalizer.
    pub(crate) async fn commit_delete(
        &self,
        old: &Old,
        last: Option<&Value>,
        attempt: u32,
    ) -> Result<Round, Status> {
        let shown: Bytes = codec::encode(last.unwrap_or(&old.object));
        let unchanged = codec::with_revision(&shown, old.stored.revision());
        if self.dry_run {
            return Ok(Round::done(unchanged));
        }
        let context = WriteContext {
            resource: self.target.resource,
            part: self.part,
            old: Some(&old.object),
            new: None,
            dry_run: false,
            attempt,
        };
        let reservation = self.api.reserve(context).await?;
        let key = keys::object(
            self.target.resource,
            old.stored.namespace(),
            old.stored.name(),
        );
        let before = Compare {
            key: key.clone(),
            mod_revision: old.stored.revision(),
        };
        let delete = Operation::Delete { key };
        Ok(match self.commit(before, delete, reservation).await? {
            Committed::Lost => Round::Lost,
            Committed::At(_) if last.is_some() => Round::done(unchanged),
            Committed::At(revision) => Round::done(codec::with_revision(&shown, revision)),
        })
    }

    async fn commit(
        &self,
        compare: Compare,
        operation: Operation,
        reservation: Reservation,
    ) -> Result<Committed, Status> {
        let Reservation {
            mut compares,
            before,
            after,
            hold,
        } = reservation;
        compares.insert(0, compare);
        let at = before.len();
        let operations = before.into_iter().chain([operation]).chain(after).collect();
        let transaction = Transaction {
            compares,
            operations,
        };
        let outcome = self.api.registry.store().transact(transaction).await;
        match outcome.map_err(|error| store_failed(&error))? {
            TransactionOutcome::Committed { revisions } => {
                if let Some(hold) = hold {
                    hold.commit();
                }
                Ok(Committed::At(
                    revisions.get(at).copied().unwrap_or_default(),
                ))
            }
            TransactionOutcome::Failed { compare: 0, .. } => Ok(Committed::Lost),
            TransactionOutcome::Failed { compare, actual } => match hold {
                None => Ok(Committed::Lost),
                Some(hold) => match hold.lost(compare - 1, actual.as_ref()) {
                    Lost::Retry => Ok(Committed::Lost),
                    Lost::Fail(status) => Err(status),
                },
            },
        }
    }
}
