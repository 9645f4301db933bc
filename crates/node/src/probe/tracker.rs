//! What a row of answers means: thresholds count consecutive ones (kubelet, `pkg/kubelet/prober/worker.go`).

use k8s_openapi::api::core::v1::Probe;

use super::Purpose;

/// A threshold that was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Passes,
    Fails,
}

/// The state of one probe.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    needed_successes: i32,
    needed_failures: i32,
    successes: i32,
    failures: i32,
    state: Option<Change>,
    succeeded: bool,
}

impl Tracker {
    /// A probe of which nothing is known, or one that passes already.
    pub(crate) fn new(purpose: Purpose, probe: &Probe, passing: bool) -> Self {
        // A liveness probe begins as passing and a readiness probe as failing, so that only news is reported.
        let state = match purpose {
            _ if passing => Some(Change::Passes),
            Purpose::Liveness => Some(Change::Passes),
            Purpose::Readiness => Some(Change::Fails),
            Purpose::Startup => None,
        };
        Self {
            needed_successes: probe.success_threshold.unwrap_or(1).max(1),
            needed_failures: probe.failure_threshold.unwrap_or(3).max(1),
            successes: 0,
            failures: 0,
            state,
            succeeded: false,
        }
    }

    /// Whether any answer was a success.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.succeeded
    }

    /// Counts an answer and says whether it crossed a threshold.
    pub(crate) fn count(&mut self, success: bool) -> Option<Change> {
        let crossed = if success {
            self.succeeded = true;
            self.failures = 0;
            self.successes += 1;
            (self.successes >= self.needed_successes).then_some(Change::Passes)
        } else {
            self.successes = 0;
            self.failures += 1;
            (self.failures >= self.needed_failures).then_some(Change::Fails)
        };
        let news = crossed.filter(|change| self.state != Some(*change));
        self.state = news.or(self.state);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as `+` and `-`, changes as `P` and `F`, none as `.`.
    fn changes(purpose: Purpose, thresholds: (i32, i32), passing: bool, answers: &str) -> String {
        let probe = Probe {
            success_threshold: Some(thresholds.0),
            failure_threshold: Some(thresholds.1),
            ..Probe::default()
        };
        let mut tracker = Tracker::new(purpose, &probe, passing);
        answers
            .chars()
            .map(|answer| match tracker.count(answer == '+') {
                None => '.',
                Some(Change::Passes) => 'P',
                Some(Change::Fails) => 'F',
            })
            .collect()
    }

    #[test]
    fn thresholds_count_consecutive_answers() {
        use Purpose::{Liveness, Readiness, Startup};
        let cases = [
            (Readiness, (1, 3), false, "-+--+---+", ".P.....FP"),
            (Readiness, (2, 1), false, "++-+-++", ".PF...P"),
            (Readiness, (1, 3), true, "+---", "...F"),
            (Liveness, (1, 2), false, "+-+--+", "....FP"),
            (Startup, (1, 3), false, "--+", "..P"),
            (Startup, (1, 3), false, "---", "..F"),
        ];
        for (purpose, thresholds, passing, answers, expected) in cases {
            let actual = changes(purpose, thresholds, passing, answers);
            assert_eq!(actual, expected, "{purpose:?} {thresholds:?} {answers}");
        }
    }
}
