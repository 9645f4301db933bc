//! Probes: when to ask ([`run`], one task per probe), what the answers mean ([`tracker`], pure), and how to
//! ask ([`check`]).
//!
//! As in kubelet a probe is asked every `periodSeconds`, and thresholds count consecutive answers. One thing
//! is ours: until the first success a readiness or startup probe is also asked in between, after 10 ms, 20 ms
//! and so on, and such an answer counts only if it is a success. A container that is up in 30 ms is ready in
//! 40 ms, not in ten seconds, and one that fails fails exactly when it would have.

pub(crate) mod check;
pub(crate) mod tracker;

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use check::Target;
use tracker::{Change, Tracker};

/// The first time that is waited between two eager questions; it doubles.
const EAGER: Duration = Duration::from_millis(10);

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Startup,
    Liveness,
    Readiness,
}

impl Purpose {
    /// As in "Readiness probe failed: …".
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// An answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) container: String,
    pub(crate) attempt: u32,
    pub(crate) purpose: Purpose,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
    /// The threshold that this answer crossed.
    pub(crate) change: Option<Change>,
}

/// A probe of one attempt of a container; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a probe's task needs.
pub(crate) struct Task {
    pub(crate) container: String,
    pub(crate) attempt: u32,
    pub(crate) purpose: Purpose,
    pub(crate) probe: Probe,
    pub(crate) target: Target,
    /// Whether the container counts as ready or started already, after a restart of the agent.
    pub(crate) passing: bool,
    pub(crate) answers: mpsc::Sender<Answer>,
}

impl Task {
    /// Starts asking.
    pub(crate) fn start(self) -> Running {
        Running(tokio::spawn(self.run()))
    }

    async fn run(self) {
        let seconds = |value: Option<i32>, default: u64| {
            let value = value.and_then(|value| u64::try_from(value).ok());
            Duration::from_secs(value.unwrap_or(default))
        };
        let period = seconds(self.probe.period_seconds, 10).max(Duration::from_secs(1));
        let limit = seconds(self.probe.timeout_seconds, 1).max(Duration::from_secs(1));
        let mut next = Instant::now() + seconds(self.probe.initial_delay_seconds, 0);
        let mut tracker = Tracker::new(self.purpose, &self.probe, self.passing);
        let mut eager = (self.purpose != Purpose::Liveness && !self.passing).then_some(EAGER);
        loop {
            sleep_until(next).await;
            next += period;
            if !self.ask(&mut tracker, limit, true).await {
                return;
            }
            while let Some(pause) = eager.filter(|_| !tracker.has_succeeded()) {
                let at = Instant::now() + pause;
                if at >= next {
                    break;
                }
                sleep_until(at).await;
                eager = Some(pause * 2);
                if !self.ask(&mut tracker, limit, false).await {
                    return;
                }
            }
            eager = eager.filter(|_| !tracker.has_succeeded());
        }
    }

    /// Asks once; says whether anybody still listens.
    async fn ask(&self, tracker: &mut Tracker, limit: Duration, counts: bool) -> bool {
        let result = check::check(&self.probe, &self.target, limit).await;
        if result.is_err() && !counts {
            return !self.answers.is_closed();
        }
        let change = tracker.count(result.is_ok());
        let answer = Answer {
            container: self.container.clone(),
            attempt: self.attempt,
            purpose: self.purpose,
            failure: result.err(),
            change,
        };
        if answer.change.is_none() && answer.failure.is_none() {
            return true;
        }
        self.answers.send(answer).await.is_ok()
    }
}
