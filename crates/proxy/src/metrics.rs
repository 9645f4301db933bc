//! Figures for Prometheus, by kube-proxy's names where we have the same thing to say.

use crate::caches::Dirty;
use crate::http::{self, Answer};
use crate::runner::NoLocal;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
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
    traffic_policy: &'static str,
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    sync: Histogram,
    full_sync: Histogram,
    partial_sync: Histogram,
    last_sync: Moment,
    last_queued: Moment,
    endpoint_changes: Counter,
    service_changes: Counter,
    endpoint_changes_pending: Gauge,
    service_changes_pending: Gauge,
    no_local: Family<Policy, Gauge>,
    /// Syncs that failed.
    pub(crate) failures: Counter,
    /// Elements of maps that were written or deleted.
    pub(crate) operations: Counter,
    network_programming: Histogram,
    conntrack: Histogram,
    /// Connections that were forgotten.
    pub(crate) conntrack_deleted: Counter,
    healthz: Family<Code, Counter>,
    livez: Family<Code, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        // kube-proxy's buckets: a millisecond to 16 s, and a quarter of a second to some minutes.
        let sync = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let slow = Histogram::new(exponential_buckets(0.25, 2.0, 10));
        let mut metrics = Self {
            registry: Registry::with_prefix("kubeproxy"),
            sync: sync(),
            full_sync: sync(),
            partial_sync: sync(),
            last_sync: Moment::default(),
            last_queued: Moment::default(),
            endpoint_changes: Counter::default(),
            service_changes: Counter::default(),
            endpoint_changes_pending: Gauge::default(),
            service_changes_pending: Gauge::default(),
            no_local: Family::default(),
            failures: Counter::default(),
            operations: Counter::default(),
            network_programming: slow,
            conntrack: sync(),
            conntrack_deleted: Counter::default(),
            healthz: Family::default(),
            livez: Family::default(),
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
    pub(crate) fn no_local_endpoints(&self, count: NoLocal) {
        for (traffic_policy, count) in [("internal", count.internal), ("external", count.external)]
        {
            let gauge = self.no_local.get_or_create(&Policy { traffic_policy });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A sync was asked for.
    pub(crate) fn queued(&self) {
        self.last_queued.set(now());
    }

    /// A sync succeeded.
    pub(crate) fn synced(&self, full: bool, took: Duration, triggers: &[SystemTime]) {
        let seconds = took.as_secs_f64();
        self.sync.observe(seconds);
        if full {
            &self.full_sync
        } else {
            &self.partial_sync
        }
        .observe(seconds);
        self.last_sync.set(now());
        for trigger in triggers {
            let since = trigger.elapsed().unwrap_or_default();
            self.network_programming.observe(since.as_secs_f64());
        }
    }

    /// Connections were cleaned up.
    pub(crate) fn cleaned(&self, deleted: u64, took: Duration) {
        self.conntrack.observe(took.as_secs_f64());
        self.conntrack_deleted.inc_by(deleted);
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
        text
    }
}

/// Answers `/metrics`, `/healthz` and `/proxyMode`.
pub(crate) async fn serve(listener: tokio::net::TcpListener, metrics: Arc<Metrics>) {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let answer = move |path: &str| -> Answer {
        match path {
            "/metrics" => http::answer(200, OPEN_METRICS, metrics.text()),
            "/healthz" => http::answer(200, "text/plain; charset=utf-8", "ok"),
            "/proxyMode" => http::answer(200, "text/plain; charset=utf-8", "nftables"),
            _ => http::answer(404, "text/plain", "try /metrics, /healthz or /proxyMode\n"),
        }
    };
    http::serve(listener, answer).await;
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
