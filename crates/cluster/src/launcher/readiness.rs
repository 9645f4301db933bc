//! Waiting until the roles are ready, for a bounded time, and telling early when one never will be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::supervise::Report;
use super::{Progress, Show};
use crate::error::Error;
use crate::layout::{RoleSpec, SERVER};
use crate::place::Place;
use crate::role::log_tail;

/// How long the roles may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether they are.
const LOOK: Duration = Duration::from_millis(4);
/// A role that ends this often before it is ready will not get ready.
const MOST_FAILURES: u32 = 4;

/// The wait, with what it has seen so far.
pub(super) struct Readiness {
    place: Place,
    inbox: mpsc::Receiver<Report>,
    progress: Show,
    began: Instant,
    /// Who was started or adopted: a file that says "ready" may be of the run before.
    present: BTreeSet<String>,
    failures: BTreeMap<String, u32>,
}

impl Readiness {
    pub(super) fn new(
        place: Place,
        inbox: mpsc::Receiver<Report>,
        progress: Show,
        began: Instant,
    ) -> Self {
        let (present, failures) = (BTreeSet::new(), BTreeMap::new());
        Self {
            place,
            inbox,
            progress,
            began,
            present,
            failures,
        }
    }

    /// Returns when the API server has written how the other roles reach it.
    pub(super) async fn of_kubeconfig(&mut self) -> Result<(), Error> {
        let server = [SERVER.to_owned()].into();
        while !self.place.cluster_kubeconfig().exists() {
            self.look(&server).await?;
        }
        Ok(())
    }

    /// Returns when every role is ready, or stopped on purpose.
    pub(super) async fn of_all(&mut self, roles: &[RoleSpec]) -> Result<(), Error> {
        let mut waiting: BTreeSet<_> = roles.iter().map(|role| role.name.clone()).collect();
        loop {
            for role in waiting.clone() {
                if self.place.stopped(&role).exists() {
                    waiting.remove(&role);
                } else if self.present.contains(&role) && self.place.ready_file(&role).exists() {
                    waiting.remove(&role);
                    (self.progress)(Progress::Ready {
                        role,
                        after: self.began.elapsed(),
                    });
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            self.look(&waiting).await?;
        }
    }

    /// What is reported from here on is for somebody else.
    pub(super) fn done(self) -> mpsc::Receiver<Report> {
        self.inbox
    }

    /// One short wait, with what the supervisors report meanwhile.
    async fn look(&mut self, waiting: &BTreeSet<String>) -> Result<(), Error> {
        if self.began.elapsed() > PATIENCE {
            return Err(Error::NotReady {
                roles: waiting.iter().cloned().collect(),
                seconds: PATIENCE.as_secs(),
                logs: self.place.logs(),
            });
        }
        tokio::time::sleep(LOOK).await;
        while let Ok(report) = self.inbox.try_recv() {
            self.take(report, waiting)?;
        }
        Ok(())
    }

    fn take(&mut self, report: Report, waiting: &BTreeSet<String>) -> Result<(), Error> {
        (self.progress)(report.progress);
        if !report.failed {
            self.present.insert(report.role);
            return Ok(());
        }
        let failures = self.failures.entry(report.role.clone()).or_default();
        *failures += 1;
        if *failures < MOST_FAILURES || !waiting.contains(&report.role) {
            return Ok(());
        }
        let log = self.place.log(&report.role);
        Err(Error::Role {
            role: report.role,
            tail: log_tail(&log),
            log,
        })
    }
}
