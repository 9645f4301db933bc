//! Figures for Prometheus, by kube-proxy's names where we have the same thing to say.

mod configz;
mod text;

use crate::caches::Dirty;
use crate::config::Config;
use crate::http::{self, Answer};
use crate::runner::NoLocal;
use forwarding::Family;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family as ByLabels;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

/// Seconds since 1970, with fractions.
type Moment = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Policy {
    ip_family: &'static str,
    traffic_policy: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IpFamily {
    ip_family: &'static str,
}

/// kube-proxy has a proxy per family, and so a figure for each. We change both in one transaction, and count
/// it for the families that are in it.
type PerFamily<M, C = fn() -> M> = ByLabels<IpFamily, M, C>;

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    sync: PerFamily<Histogram>,
    full_sync: PerFamily<Histogram>,
    partial_sync: PerFamily<Histogram>,
    last_sync: PerFamily<Moment>,
    last_queued: PerFamily<Moment>,
    endpoint_changes: Counter,
    service_changes: Counter,
    endpoint_changes_pending: Gauge,
    service_changes_pending: Gauge,
    no_local: ByLabels<Policy, Gauge>,
    failures: PerFamily<Counter>,
    /// Elements of maps that were written or deleted.
    pub(crate) operations: Counter,
    network_programming: PerFamily<Histogram>,
    conntrack: PerFamily<Histogram>,
    conntrack_deleted: PerFamily<Counter>,
    healthz: ByLabels<Code, Counter>,
    livez: ByLabels<Code, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let sync = || PerFamily::<Histogram>::new_with_constructor(fast);
        let mut metrics = Self {
            registry: Registry::with_prefix("kubeproxy"),
            sync: sync(),
            full_sync: sync(),
            partial_sync: sync(),
            last_sync: PerFamily::default(),
            last_queued: PerFamily::default(),
            endpoint_changes: Counter::default(),
            service_changes: Counter::default(),
            endpoint_changes_pending: Gauge::default(),
            service_changes_pending: Gauge::default(),
            no_local: ByLabels::default(),
            failures: PerFamily::default(),
            operations: Counter::default(),
            network_programming: PerFamily::<Histogram>::new_with_constructor(slow),
            conntrack: sync(),
            conntrack_deleted: PerFamily::default(),
            healthz: ByLabels::default(),
            livez: ByLabels::default(),
        };
        metrics.register_syncs();
        metrics.register_others();
        metrics
    }

    fn register_syncs(&mut self) {
        let r = &mut self.registry;
        let name = "sync_proxy_rules_duration_seconds";
        r.register(name, "How long a sync took", self.sync.clone());
        let name = "sync_full_proxy_rules_duration_seconds";
        r.register(
            name,
            "How long a sync with all of the kernel's state took",
            self.full_sync.clone(),
        );
        let name = "sync_partial_proxy_rules_duration_seconds";
        r.register(
            name,
            "How long a sync of changes took",
            self.partial_sync.clone(),
        );
        let name = "sync_proxy_rules_last_timestamp_seconds";
        r.register(name, "When the last sync succeeded", self.last_sync.clone());
        let name = "sync_proxy_rules_last_queued_timestamp_seconds";
        r.register(
            name,
            "When a sync was last asked for",
            self.last_queued.clone(),
        );
        let name = "sync_proxy_rules_nftables_sync_failures";
        r.register(name, "Syncs that failed", self.failures.clone());
        let name = "sync_proxy_rules_nftables_operations";
        r.register(
            name,
            "Elements of maps written or deleted",
            self.operations.clone(),
        );
    }

    fn register_others(&mut self) {
        let r = &mut self.registry;
        let name = "sync_proxy_rules_endpoint_changes";
        r.register(
            name,
            "Changes of EndpointSlices heard",
            self.endpoint_changes.clone(),
        );
        let name = "sync_proxy_rules_service_changes";
        r.register(
            name,
            "Changes of Services heard",
            self.service_changes.clone(),
        );
        let name = "sync_proxy_rules_endpoint_changes_pending";
        let help = "Changes of EndpointSlices that are not in the kernel yet";
        r.register(name, help, self.endpoint_changes_pending.clone());
        let name = "sync_proxy_rules_service_changes_pending";
        let help = "Changes of Services that are not in the kernel yet";
        r.register(name, help, self.service_changes_pending.clone());
        // A gauge by nature, but kube-proxy has it end in _total.
        let name = "sync_proxy_rules_no_local_endpoints_total";
        let help =
            "Ports whose traffic policy is Local and that have endpoints on other nodes only";
        r.register(name, help, self.no_local.clone());
        let name = "network_programming_duration_seconds";
        let help = "From a change of pods to the kernel, by the slices' annotation";
        r.register(name, help, self.network_programming.clone());
        let name = "conntrack_reconciler_sync_duration_seconds";
        r.register(
            name,
            "How long a clean-up of connections took",
            self.conntrack.clone(),
        );
        let name = "conntrack_reconciler_deleted_entries";
        r.register(
            name,
            "Connections forgotten",
            self.conntrack_deleted.clone(),
        );
        r.register("proxy_healthz", "Answers to /healthz", self.healthz.clone());
        r.register("proxy_livez", "Answers to /livez", self.livez.clone());
    }

    /// Changes were heard.
    pub(crate) fn heard(&self, dirty: &Dirty) {
        self.service_changes.inc_by(dirty.service_changes);
        self.endpoint_changes.inc_by(dirty.endpoint_changes);
        let pending = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.service_changes_pending
            .inc_by(pending(dirty.service_changes));
        self.endpoint_changes_pending
            .inc_by(pending(dirty.endpoint_changes));
    }

    /// Everything that was heard is in the kernel.
    pub(crate) fn done(&self) {
        self.service_changes_pending.set(0);
        self.endpoint_changes_pending.set(0);
    }

    /// So many ports have no local endpoint.
    pub(crate) fn no_local_endpoints(&self, counts: [NoLocal; 2]) {
        for (family, count) in Family::BOTH.into_iter().zip(counts) {
            let policies = [("internal", count.internal), ("external", count.external)];
            for (traffic_policy, count) in policies {
                let IpFamily { ip_family } = label(family);
                let policy = Policy {
                    ip_family,
                    traffic_policy,
                };
                let gauge = self.no_local.get_or_create(&policy);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    /// A sync was asked for.
    pub(crate) fn queued(&self, families: &[Family]) {
        for family in families {
            self.last_queued.get_or_create(&label(*family)).set(now());
        }
    }

    /// A sync failed.
    pub(crate) fn failed(&self, families: &[Family]) {
        for family in families {
            self.failures.get_or_create(&label(*family)).inc();
        }
    }

    /// A sync succeeded.
    pub(crate) fn synced(&self, full: bool, families: &[Family], took: Duration) {
        let seconds = took.as_secs_f64();
        let kind = if full {
            &self.full_sync
        } else {
            &self.partial_sync
        };
        for family in families.iter().map(|family| label(*family)) {
            self.sync.get_or_create(&family).observe(seconds);
            kind.get_or_create(&family).observe(seconds);
            self.last_sync.get_or_create(&family).set(now());
        }
    }

    /// What changed at these times is in the kernel.
    pub(crate) fn programmed(&self, triggers: &[(Family, SystemTime)]) {
        for (family, trigger) in triggers {
            let since = trigger.elapsed().unwrap_or_default();
            let histogram = self.network_programming.get_or_create(&label(*family));
            histogram.observe(since.as_secs_f64());
        }
    }

    /// Connections were cleaned up.
    pub(crate) fn cleaned(&self, deleted: [u64; 2], took: Duration) {
        for (family, deleted) in Family::BOTH.into_iter().zip(deleted) {
            let family = label(family);
            self.conntrack
                .get_or_create(&family)
                .observe(took.as_secs_f64());
            self.conntrack_deleted
                .get_or_create(&family)
                .inc_by(deleted);
        }
    }

    /// Somebody asked for our health.
    pub(crate) fn asked(&self, what: &str, code: u16) {
        let family = if what == "livez" {
            &self.livez
        } else {
            &self.healthz
        };
        family.get_or_create(&Code { code }).inc();
    }

    fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes any text");
        text::plain(&text)
    }
}

/// Answers `/metrics`, `/healthz`, `/proxyMode` and `/configz`.
pub(crate) fn serve(
    listener: tokio::net::TcpListener,
    metrics: Arc<Metrics>,
    config: &Config,
) -> impl Future<Output = ()> + Send + use<> {
    let configz = configz::text(config);
    let answer = move |path: &str| -> Answer {
        match path {
            "/metrics" => http::answer(200, text::TYPE, metrics.text()),
            "/healthz" => http::answer(200, http::PLAIN, "ok"),
            "/proxyMode" => http::answer(200, http::PLAIN, "nftables"),
            "/configz" => http::answer(200, http::JSON, configz.clone()),
            _ => http::not_found(),
        }
    };
    http::serve(listener, answer)
}

/// kube-proxy's buckets for syncs: a millisecond to 16 s.
fn fast() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

/// And for the way from a pod to the kernel: a quarter of a second to five minutes.
fn slow() -> Histogram {
    let buckets = linear_buckets(0.25, 0.25, 2)
        .chain(linear_buckets(1.0, 1.0, 59))
        .chain(linear_buckets(60.0, 5.0, 12))
        .chain(linear_buckets(120.0, 30.0, 7));
    Histogram::new(buckets)
}

fn label(family: Family) -> IpFamily {
    let ip_family = match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    IpFamily { ip_family }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
