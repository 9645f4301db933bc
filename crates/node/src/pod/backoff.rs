//! How long a container that ended waits for its next start: not at all the first time, then 10 s, doubling
//! to 5 min; forgotten after ten quiet minutes (kubelet, `client-go/util/flowcontrol/backoff.go`).

use std::time::Duration;

use jiff::Timestamp;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// Twice the longest delay without a restart, and the next one counts as the first.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// A container's back-off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    delay: Duration,
    last_restart: Option<Timestamp>,
}

impl Backoff {
    /// The delay that holds for a container that ended at `ended`.
    pub(crate) fn delay(&self, ended: Timestamp) -> Duration {
        if self.is_forgotten(ended) {
            Duration::ZERO
        } else {
            self.delay
        }
    }

    /// When a container that ended at `ended` may start again.
    pub(crate) fn restart_at(&self, ended: Timestamp) -> Timestamp {
        later(ended, self.delay(ended))
    }

    /// Counts a restart.
    pub(crate) fn restarted(&mut self, now: Timestamp) {
        self.delay = if self.delay.is_zero() || self.is_forgotten(now) {
            FIRST
        } else {
            (self.delay * 2).min(LONGEST)
        };
        self.last_restart = Some(now);
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.last_restart
            .is_some_and(|last| now > later(last, FORGOTTEN_AFTER))
    }
}

/// `time` plus `delay`; at the end of representable time it stays.
pub(crate) fn later(time: Timestamp, delay: Duration) -> Timestamp {
    time.checked_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
    }

    #[test]
    fn delays_double_from_ten_seconds_to_five_minutes() {
        let mut backoff = Backoff::default();
        let mut now = at(1000);
        let mut delays = Vec::new();
        for _ in 0..8 {
            delays.push(backoff.delay(now).as_secs());
            now = backoff.restart_at(now);
            backoff.restarted(now);
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn ten_quiet_minutes_forgive() {
        let mut backoff = Backoff::default();
        backoff.restarted(at(0));
        backoff.restarted(at(10));
        assert_eq!(backoff.delay(at(100)).as_secs(), 20);
        assert_eq!(backoff.delay(at(611)).as_secs(), 0);
        backoff.restarted(at(611));
        assert_eq!(backoff.delay(at(612)).as_secs(), 10);
    }
}
