//! `/metrics`: counts and times of requests, and how much is stored, under upstream's names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::registry::Registry;
use crate::reply::Reply;

/// Upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Verb, resource and code.
type Key = (&'static str, &'static str, u16);

/// What has been counted.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Key, Series>>,
}

#[derive(Clone, Copy, Default)]
struct Series {
    count: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

impl Metrics {
    /// Counts an answered request.
    pub(crate) fn answered(
        &self,
        verb: &'static str,
        resource: &'static str,
        code: u16,
        took: Duration,
    ) {
        let seconds = took.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = requests.entry((verb, resource, code)).or_default();
        series.count += 1;
        series.seconds += seconds;
        let fitting = BUCKETS.iter().position(|bound| seconds <= *bound);
        if let Some(bucket) = fitting.and_then(|at| series.buckets.get_mut(at)) {
            *bucket += 1;
        }
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self, registry: &Registry) -> Reply {
        let requests = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut out = String::new();
        out.push_str("# TYPE apiserver_request_total counter\n");
        for ((verb, resource, code), series) in &requests {
            let labels = format!(
                "verb=\"{}\",resource=\"{resource}\",code=\"{code}\"",
                verb.to_uppercase()
            );
            let _ = writeln!(out, "apiserver_request_total{{{labels}}} {}", series.count);
        }
        out.push_str("# TYPE apiserver_request_duration_seconds histogram\n");
        for ((verb, resource, code), series) in &requests {
            let labels = format!(
                "verb=\"{}\",resource=\"{resource}\",code=\"{code}\"",
                verb.to_uppercase()
            );
            histogram(&mut out, &labels, series);
        }
        out.push_str("# TYPE apiserver_storage_objects gauge\n");
        for cache in registry.caches() {
            let resource = cache.resource();
            let name = match resource.group {
                "" => resource.plural.to_owned(),
                group => format!("{}.{group}", resource.plural),
            };
            let _ = writeln!(
                out,
                "apiserver_storage_objects{{resource=\"{name}\"}} {}",
                cache.len()
            );
        }
        Reply::full(200, "text/plain; version=0.0.4; charset=utf-8", out)
    }
}

fn histogram(out: &mut String, labels: &str, series: &Series) {
    let name = "apiserver_request_duration_seconds";
    let mut sum = 0;
    for (bound, count) in BUCKETS.iter().zip(series.buckets) {
        sum += count;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}");
    }
    let _ = writeln!(
        out,
        "{name}_bucket{{{labels},le=\"+Inf\"}} {}",
        series.count
    );
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", series.seconds);
    let _ = writeln!(out, "{name}_count{{{labels}}} {}", series.count);
}
