//! One role's supervisor: adopts or starts its process, waits for its end, starts it again, and
//! leaves it alone while it is to be stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Progress;
use super::gate::Gate;
use crate::error::Error;
use crate::layout::{Layout, RoleSpec};
use crate::network;
use crate::place::Place;
use crate::role::{End, Process, next_wait};

/// Between two looks whether a stopped role may start.
const STOPPED_LOOK: Duration = Duration::from_millis(50);

/// Something a supervisor did or saw.
pub(super) struct Report {
    pub(super) role: String,
    pub(super) progress: Progress,
    /// Whether the role ended, or could not be started.
    pub(super) failed: bool,
}

/// What one needs to know.
pub(super) struct Supervisor {
    pub(super) gate: Gate,
    pub(super) place: Place,
    pub(super) program: PathBuf,
    pub(super) layout: Arc<Layout>,
    pub(super) role: RoleSpec,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Supervisor {
    /// Keeps the role running until told to let go of it.
    pub(super) async fn run(self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.look_after() => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    async fn look_after(&self) {
        let mut restarts = 0;
        let mut wait = Duration::ZERO;
        let mut adopted = Process::adopt(&self.place, &self.role);
        loop {
            self.await_permission().await;
            let process = match adopted.take() {
                Some(process) => Ok(self.adopted(process).await),
                None => self.start(restarts).await,
            };
            let end = match process {
                Ok(mut process) => {
                    restarts = process.restarts() + 1;
                    Ok(process.ended().await)
                }
                Err(error) => Err(error),
            };
            let lived = end.as_ref().map_or(Duration::ZERO, |end| end.lived);
            self.report(
                true,
                Progress::Ended {
                    role: self.role.name.clone(),
                    how: how(&end),
                },
            )
            .await;
            wait = next_wait(wait, lived);
            tokio::time::sleep(wait).await;
        }
    }

    async fn adopted(&self, process: Process) -> Process {
        tracing::info!(role = self.role.name, pid = process.pid(), "adopted");
        self.report(
            false,
            Progress::Adopted {
                role: self.role.name.clone(),
            },
        )
        .await;
        process
    }

    /// Starts the process, in a thread that may wait: joining a cgroup waits for the kernel.
    async fn start(&self, restarts: u32) -> Result<Process, Error> {
        let (place, program, role) = (self.place.clone(), self.program.clone(), self.role.clone());
        let gate = self.gate.clone();
        let starting = tokio::task::spawn_blocking(move || {
            gate.pass(|| Process::start(&place, &program, &role, restarts))
        });
        let started = starting
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let Some(process) = started else {
            // The launcher is letting go; this supervisor is about to be told.
            return std::future::pending().await;
        };
        let process = process?;
        tracing::info!(
            role = self.role.name,
            pid = process.pid(),
            restarts,
            "started"
        );
        self.report(
            false,
            Progress::Started {
                role: self.role.name.clone(),
            },
        )
        .await;
        Ok(process)
    }

    /// Waits while the role is to be stopped; then its namespace may have to be made again.
    async fn await_permission(&self) {
        let marker = self.place.stopped(&self.role.name);
        let mut waited = false;
        while marker.exists() {
            waited = true;
            tokio::time::sleep(STOPPED_LOOK).await;
        }
        let Some(member) = self.layout.member(&self.role.name).filter(|_| waited) else {
            return;
        };
        let made = async {
            let lan = network::lan(&self.layout.lan).await?;
            network::member(&lan, member).await
        };
        if let Err(error) = made.await {
            tracing::error!(role = self.role.name, %error, "cannot make its network again");
        }
    }

    async fn report(&self, failed: bool, progress: Progress) {
        let report = Report {
            role: self.role.name.clone(),
            progress,
            failed,
        };
        // Nobody listens any more when the launcher ends.
        self.reports.send(report).await.ok();
    }
}

fn how(end: &Result<End, Error>) -> String {
    match end {
        Ok(End {
            status: Some(status),
            ..
        }) => status.to_string(),
        Ok(End { status: None, .. }) => "ended".to_owned(),
        Err(error) => error.to_string(),
    }
}
