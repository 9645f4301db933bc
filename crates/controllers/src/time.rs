//! The time as objects carry it: whole seconds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Now, in whole seconds.
pub(crate) fn now() -> Time {
    whole(Timestamp::now())
}

/// A time without its fraction of a second.
pub(crate) fn whole(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// How long ago a time was; zero for times to come.
pub(crate) fn since(at: &Time, now: Timestamp) -> Duration {
    now.duration_since(at.0).try_into().unwrap_or_default()
}

/// How long until a time after another; `None` if it has come.
pub(crate) fn left(from: &Time, span: Duration, now: Timestamp) -> Option<Duration> {
    span.checked_sub(since(from, now))
        .filter(|left| !left.is_zero())
}
