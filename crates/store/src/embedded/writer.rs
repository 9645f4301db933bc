//! The writer: one thread that turns whatever has queued into one redb commit, so that all the writes
//! waiting share one fsync. No timer: while a commit is under way, the next group gathers.

use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

use super::Options;
use super::compaction::{self, Progress};
use super::disk::{Disk, Problem, Tables};
use super::group;
use super::recent::Commit;
use super::snapshot::Snapshot;
use super::state::State;
use crate::{Event, Operation, Revision, StoreError, Transaction, TransactionOutcome};

/// One commit performs at most so many jobs …
const GROUP_JOBS: usize = 256;
/// … and takes no more once it has so many bytes of values.
const GROUP_BYTES: usize = 8 << 20;
/// A commit sweeps so many rows besides its own work, at least; twice what it writes, so sweeping catches up.
const SWEEP_ROWS: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Transact {
        transaction: Transaction,
        reply: Reply<TransactionOutcome>,
    },
    Compact {
        revision: Revision,
        reply: Reply<()>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// Owns the right to write.
pub(super) struct Writer {
    disk: Disk,
    options: Options,
    state: Arc<State>,
    revision: Revision,
    progress: Progress,
    /// Why nothing can be written any more.
    failed: Option<String>,
}

impl Writer {
    /// Starts the thread; it ends after [`Job::Close`] or when the queue's senders are gone.
    pub(super) fn start(
        disk: Disk,
        options: Options,
        queue: Receiver<Job>,
    ) -> Result<Arc<State>, StoreError> {
        let (snapshot, progress) = load(&disk).map_err(|problem| problem.tell(disk.path()))?;
        let revision = snapshot.revision();
        let state = Arc::new(State::new(disk.path(), snapshot));
        let path = disk.path().display().to_string();
        let writer = Self {
            disk,
            options,
            state: state.clone(),
            revision,
            progress,
            failed: None,
        };
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let spawned = thread.spawn(move || writer.run(queue));
        spawned.map_err(|error| StoreError::Io {
            path,
            reason: format!("no thread for the writer: {error}"),
        })?;
        Ok(state)
    }

    fn run(mut self, mut queue: Receiver<Job>) {
        let mut closing = None;
        while closing.is_none()
            && let Some(jobs) = self.gather(&mut queue, &mut closing)
        {
            self.commit(jobs);
        }
        drop(queue);
        drop(self);
        if let Some(reply) = closing {
            let _ = reply.send(());
        }
    }

    /// Waits for a job, unless there is something to sweep, and takes those queued behind it; `None` when
    /// nobody is left to send any. Nothing is taken after [`Job::Close`], which ends up in `closing`.
    fn gather(
        &self,
        queue: &mut Receiver<Job>,
        closing: &mut Option<oneshot::Sender<()>>,
    ) -> Option<Vec<Job>> {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while jobs.len() < GROUP_JOBS && bytes < GROUP_BYTES {
            let next = match jobs.is_empty() && !self.has_to_sweep() {
                true => queue.blocking_recv().ok_or(TryRecvError::Disconnected),
                false => queue.try_recv(),
            };
            match next {
                Ok(Job::Close { reply }) => {
                    *closing = Some(reply);
                    break;
                }
                Ok(job) => {
                    bytes += job.bytes();
                    jobs.push(job);
                }
                Err(TryRecvError::Disconnected) if jobs.is_empty() => return None,
                Err(_) => break,
            }
        }
        Some(jobs)
    }

    fn has_to_sweep(&self) -> bool {
        self.failed.is_none() && self.progress.sweep_is_due(self.revision.0)
    }

    /// Performs the jobs in one redb transaction, makes it visible, then answers.
    fn commit(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() && !self.has_to_sweep() {
            return;
        }
        let written = match self.failed {
            None => self.write(&jobs),
            Some(_) => Ok(Vec::new()),
        };
        match written {
            Ok(outcomes) if outcomes.len() == jobs.len() => {
                jobs.into_iter()
                    .zip(outcomes)
                    .for_each(|(job, outcome)| job.answer(outcome));
            }
            Ok(_) => self.refuse(jobs),
            Err(problem) => {
                let error = problem.tell(self.disk.path());
                tracing::error!(%error, "the store stops writing");
                self.failed = Some(match error {
                    StoreError::Io { reason, .. } => reason,
                    other => other.to_string(),
                });
                self.refuse(jobs);
            }
        }
    }

    /// A failed commit may or may not be on disk. Going on would number later revisions on a guess, so
    /// nothing is written until the file is opened again.
    fn refuse(&self, jobs: Vec<Job>) {
        let reason = self.failed.clone().unwrap_or_default();
        for job in jobs {
            job.fail(StoreError::Io {
                path: self.disk.path().display().to_string(),
                reason: format!("writing has stopped: {reason}"),
            });
        }
    }

    fn write(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Problem> {
        let transaction = self.disk.begin_write()?;
        let mut group = Group {
            tables: Tables::open(&transaction)?,
            revision: self.revision,
            progress: self.progress,
            events: Vec::new(),
        };
        let outcomes = group.perform(jobs)?;
        group.forget(self.options.keep_revisions)?;
        let (revision, progress, events) = group.finish();
        if events.is_empty() && progress == self.progress {
            transaction.abort()?;
            return Ok(outcomes);
        }
        transaction.commit()?;
        (self.revision, self.progress) = (revision, progress);
        let snapshot = Snapshot::take(&self.disk)?;
        self.state.publish(snapshot, Commit::new(events, revision));
        Ok(outcomes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.state.close();
        self.disk.close();
    }
}

/// What is on disk when the store opens.
fn load(disk: &Disk) -> Result<(Snapshot, Progress), Problem> {
    let transaction = disk.begin_write()?;
    let progress = Progress::load(&Tables::open(&transaction)?)?;
    transaction.abort()?;
    Ok((Snapshot::take(disk)?, progress))
}

/// What came of a job, to be told when it is durable.
enum Outcome {
    Transact(TransactionOutcome),
    Compact(Result<(), StoreError>),
}

impl Job {
    fn bytes(&self) -> usize {
        let Self::Transact { transaction, .. } = self else {
            return 0;
        };
        let values = transaction
            .operations
            .iter()
            .map(|operation| match operation {
                Operation::Put { value, .. } => value.len(),
                Operation::Delete { .. } => 0,
            });
        values.sum()
    }

    fn answer(self, outcome: Outcome) {
        // A caller that no longer waits has no use for the outcome.
        match (self, outcome) {
            (Self::Transact { reply, .. }, Outcome::Transact(outcome)) => {
                let _ = reply.send(Ok(outcome));
            }
            (Self::Compact { reply, .. }, Outcome::Compact(outcome)) => {
                let _ = reply.send(outcome);
            }
            (job, _) => job.fail(StoreError::Closed),
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Transact { reply, .. } => drop(reply.send(Err(error))),
            Self::Compact { reply, .. } => drop(reply.send(Err(error))),
            Self::Close { reply } => drop(reply.send(())),
        }
    }
}

/// A redb transaction under way.
struct Group<'t> {
    tables: Tables<'t>,
    revision: Revision,
    progress: Progress,
    events: Vec<Event>,
}

impl Group<'_> {
    fn perform(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Problem> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(match job {
                Job::Transact { transaction, .. } => Outcome::Transact(self.transact(transaction)?),
                Job::Compact { revision, .. } => Outcome::Compact(self.compact(*revision)?),
                Job::Close { .. } => Outcome::Compact(Ok(())),
            });
        }
        Ok(outcomes)
    }

    fn transact(&mut self, transaction: &Transaction) -> Result<TransactionOutcome, Problem> {
        let (newest, events) = (self.revision, &mut self.events);
        let outcome = group::perform(&mut self.tables, transaction, newest, events)?;
        self.revision = self.events.last().map_or(newest, |event| event.revision);
        Ok(outcome)
    }

    fn compact(&mut self, requested: Revision) -> Result<Result<(), StoreError>, Problem> {
        let current = self.revision;
        if requested > current {
            return Ok(Err(StoreError::Future { requested, current }));
        }
        compaction::promise(&mut self.tables, &mut self.progress, requested.0)?;
        Ok(Ok(()))
    }

    /// Compacts what the policy says, and sweeps a part of what is compacted.
    fn forget(&mut self, keep: u64) -> Result<(), Problem> {
        let (tables, progress) = (&mut self.tables, &mut self.progress);
        if let Some(oldest) = compaction::due(*progress, self.revision.0, keep) {
            compaction::promise(tables, progress, oldest)?;
        }
        let rows = SWEEP_ROWS.max(2 * self.events.len());
        compaction::sweep(tables, progress, self.revision.0, rows)
    }

    /// Lets go of the tables, so that the redb transaction can be committed.
    fn finish(self) -> (Revision, Progress, Vec<Event>) {
        (self.revision, self.progress, self.events)
    }
}
