//! ResourceQuotas: what a write uses is added to their status in the write's own transaction, and what does
//! not fit is refused (`apiserver/pkg/admission/plugin/resourcequota`).
//!
//! Upstream writes the quota first and the object afterwards; here a failed write leaves no trace. Writes in a
//! namespace with quotas go one after the other, so that they do not lose races against each other all the time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use api::quota::{Request, charge};
use api::resource::{Part, Resource};
use api::status::Status;
use jiff::Timestamp;
use serde_json::Value;
use store::{Compare, KeyValue, Operation};
use tokio::sync::OwnedMutexGuard;

use crate::codec;
use crate::keys;
use crate::registry::Stored;
use crate::reserve::{Hold, Lost, Reservation};
use crate::write::Write;

/// One lock for each namespace in which a charged write is under way.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Locks {
    async fn lock(&self, namespace: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            let known = locks.get(namespace).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(namespace.to_owned(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

/// Adds to a reservation what the write uses of its namespace's quotas.
///
/// # Errors
/// 403, when it does not fit.
pub(crate) async fn admit(
    write: &Write<'_>,
    old: Option<&Value>,
    new: &Value,
    reservation: Reservation,
) -> Result<Reservation, Status> {
    let namespace = &write.target.namespace;
    let cache = write.api.registry.kind("", "resourcequotas");
    if namespace.is_empty() || cache.list(namespace).objects.is_empty() {
        return Ok(reservation);
    }
    let guard = write.api.quota_locks.lock(namespace).await;
    write.api.fresh().await?;
    let stored = cache.list(namespace).objects;
    let quotas: Vec<Value> = stored.iter().map(|stored| stored.value()).collect();
    let changed = decide(write, old, new, &quotas)?;
    if write.dry_run || changed.is_empty() {
        return Ok(reservation);
    }
    let mut charges = Reservation::default();
    for (index, used) in changed {
        let mut quota = quotas[index].clone();
        quota["status"]["used"] = used;
        put(&mut charges, cache.resource(), &stored[index], &quota);
    }
    charges.hold = Some(Box::new(Held { _guard: guard }));
    Ok(both(reservation, charges))
}

fn decide(
    write: &Write<'_>,
    old: Option<&Value>,
    new: &Value,
    quotas: &[Value],
) -> Result<Vec<(usize, Value)>, Status> {
    let resource = write.target.resource;
    let request = Request {
        kind: (resource.group, resource.plural),
        part: write.part,
        old,
        new,
        now: Timestamp::now(),
    };
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    charge(quotas, &request)
        .map_err(|why| Status::forbidden(resource.group, resource.plural, name, &why))
}

fn put(charges: &mut Reservation, kind: &'static Resource, stored: &Stored, quota: &Value) {
    let key = keys::object(kind, stored.namespace(), stored.name());
    charges.compares.push(Compare {
        key: key.clone(),
        mod_revision: stored.revision(),
    });
    let value = codec::encode(quota);
    charges.before.push(Operation::Put { key, value });
}

/// Keeps other charged writes of the namespace waiting.
struct Held {
    _guard: OwnedMutexGuard<()>,
}

impl Hold for Held {
    fn commit(self: Box<Self>) {}

    /// A controller counted anew; the next round charges what it found.
    fn lost(&self, _compare: usize, _actual: Option<&KeyValue>) -> Lost {
        Lost::Retry
    }
}

/// Two reservations as one.
fn both(mut first: Reservation, second: Reservation) -> Reservation {
    let of_first = first.compares.len();
    first.compares.extend(second.compares);
    first.before.extend(second.before);
    first.after.extend(second.after);
    first.hold = match (first.hold, second.hold) {
        (Some(first), Some(second)) => Some(Box::new(Pair {
            of_first,
            first,
            second,
        })),
        (one, other) => one.or(other),
    };
    first
}

struct Pair {
    of_first: usize,
    first: Box<dyn Hold>,
    second: Box<dyn Hold>,
}

impl Hold for Pair {
    fn commit(self: Box<Self>) {
        self.first.commit();
        self.second.commit();
    }

    fn lost(&self, compare: usize, actual: Option<&KeyValue>) -> Lost {
        match compare.checked_sub(self.of_first) {
            None => self.first.lost(compare, actual),
            Some(compare) => self.second.lost(compare, actual),
        }
    }
}

/// Whether a write of this part can be charged at all: most are not, and need not look.
pub(crate) fn concerns(part: Part) -> bool {
    matches!(part, Part::Main | Part::Sub("resize"))
}
