//! The one place where things happen: whatever was heard is taken in, and the data plane is told
//! the difference. At once when idle; a burst becomes one change; after a failure everything is
//! compared with the kernel again.

use crate::caches::{Caches, Dirty, Seen};
use crate::config::Config;
use crate::conntrack;
use crate::events::Events;
use crate::health::{self, Health, ServicePorts};
use crate::http;
use crate::metrics::{self, Metrics};
use crate::node::{self, NodeConfig};
use crate::watch::{Watches, watches};
use dataplane::{Applied, Dataplane, Nftables};
use forwarding::{Change, Family, Planner, ServiceName};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, spawn_blocking};

mod settings;
mod tallies;

pub(crate) use tallies::NoLocal;
use tallies::Tallies;

/// A burst is gathered for so long after a sync; a change after a quiet time goes at once.
const GATHER: Duration = Duration::from_millis(10);
/// How often the node's own addresses are read again.
const ADDRESSES: Duration = Duration::from_secs(30);
/// How often the kernel is compared with the table, in case somebody else changed it.
const FULL_SYNC: Duration = Duration::from_secs(3600);
/// After a failure, doubled up to the second.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// How much is taken in at a time.
const BATCH: usize = 4096;

/// Why the proxy cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses.
    #[error("the proxy has no data plane: {0}")]
    Dataplane(#[from] dataplane::Error),
    /// A port is taken.
    #[error("the proxy cannot serve {what} on {address} ({source}): is another proxy running?")]
    Listen {
        /// Health or metrics.
        what: &'static str,
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// All watches ended, which they never should.
    #[error("the proxy's watches of the Kubernetes API have ended")]
    Watches,
}

/// Proxies until `shutdown`. Rules stay in the kernel; the next process takes them over.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
    settings::apply();
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::default());
    let _servers = servers(&config, &metrics, &health)?;
    let watches = watches(&config.client, &config.node_name);
    let work = async {
        let mut runner = Runner::new(config, metrics, health).await?;
        runner.run(watches).await
    };
    tokio::select! {
        result = work => result,
        () = shutdown => Ok(()),
    }
}

fn servers(
    config: &Config,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> Result<JoinSet<()>, Error> {
    let listen = |what, address| {
        http::listen(address).map_err(|source| Error::Listen {
            what,
            address,
            source,
        })
    };
    let mut servers = JoinSet::new();
    if let Some(address) = config.healthz {
        let count = Arc::clone(metrics);
        let count = move |what: &'static str, code| count.asked(what, code);
        servers.spawn(health::serve(
            listen("health", address)?,
            Arc::clone(health),
            count,
        ));
    }
    if let Some(address) = config.metrics {
        servers.spawn(metrics::serve(
            listen("metrics", address)?,
            Arc::clone(metrics),
            config,
        ));
    }
    Ok(servers)
}

/// The state between syncs.
struct Runner {
    node_config: NodeConfig,
    caches: Caches,
    planner: Planner,
    /// Away while a blocking thread works with it.
    dataplane: Option<Box<dyn Dataplane>>,
    local_addresses: Vec<IpAddr>,
    tallies: Tallies,
    service_ports: ServicePorts,
    events: Events,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    ready: Option<Box<dyn FnOnce() + Send>>,
    /// The kernel is to be compared with the table, not just told changes.
    full: bool,
    /// What was heard and is not in the kernel yet.
    pending: Pending,
    cleaners: JoinSet<()>,
}

#[derive(Default)]
struct Pending {
    changes: Vec<Change>,
    dirty: Dirty,
    /// Services that endpoints have left.
    lost: BTreeSet<ServiceName>,
}

impl Runner {
    async fn new(
        config: Config,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Result<Self, Error> {
        let dataplane = spawn_blocking(Nftables::open)
            .await
            .expect("the data plane does not panic")?;
        Ok(Self {
            node_config: NodeConfig::of(&config),
            caches: Caches::default(),
            planner: Planner::default(),
            dataplane: Some(Box::new(dataplane)),
            local_addresses: Vec::new(),
            tallies: Tallies::default(),
            service_ports: ServicePorts::new(Arc::clone(&health)),
            events: Events::new(config.client, &config.node_name),
            metrics,
            health,
            ready: Some(config.ready),
            full: true,
            pending: Pending::default(),
            cleaners: JoinSet::new(),
        })
    }

    async fn run(&mut self, mut watches: Watches) -> Result<(), Error> {
        let mut addresses = tokio::time::interval(ADDRESSES);
        // The first sync is a full one anyway.
        let begin = tokio::time::Instant::now() + FULL_SYNC;
        let mut full = tokio::time::interval_at(begin, FULL_SYNC);
        let mut retry = RETRY[0];
        let mut batch = Vec::with_capacity(BATCH);
        self.events.started();
        self.read_addresses().await;
        loop {
            let failed = self.full && self.caches.complete();
            tokio::select! {
                heard = watches.seen.recv_many(&mut batch, BATCH) => {
                    if heard == 0 {
                        return Err(Error::Watches);
                    }
                    batch.drain(..).for_each(|seen| self.hear(seen));
                    while let Ok(seen) = watches.seen.try_recv() {
                        self.hear(seen);
                    }
                }
                _ = addresses.tick() => self.read_addresses().await,
                _ = full.tick() => self.full = true,
                () = tokio::time::sleep(retry), if failed => retry = (retry * 2).min(RETRY[1]),
            }
            if !self.caches.complete() {
                continue;
            }
            self.take_in();
            let started = Instant::now();
            if self.sync().await {
                retry = RETRY[0];
            }
            self.reap();
            // A quiet proxy answers at once; a busy one gathers what comes meanwhile.
            tokio::time::sleep(GATHER.saturating_sub(started.elapsed())).await;
        }
    }

    fn hear(&mut self, seen: Seen) {
        self.caches.hear(seen);
        self.health.waits();
    }

    async fn read_addresses(&mut self) {
        match node::local_addresses().await {
            Ok(addresses) => {
                if addresses != self.local_addresses {
                    self.local_addresses = addresses;
                    self.pending.dirty.node = true;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot read the node's own addresses"),
        }
    }

    /// Computes what follows from everything heard since the last time.
    fn take_in(&mut self) {
        let dirty = self.caches.take_dirty();
        self.metrics.heard(&dirty);
        if dirty.node || self.pending.dirty.node {
            self.pending.dirty.node = false;
            let object = self.caches.node.as_ref();
            let there = object.filter(|_| self.caches.node_is_there);
            self.health.set_eligible(node::is_eligible(there));
            let service_cidrs = self.caches.service_cidrs();
            let node = self
                .node_config
                .node(object, &self.local_addresses, service_cidrs);
            self.pending.changes.extend(self.planner.set_node(node));
            self.tallies.count_again(&self.planner);
        }
        for name in &dirty.services {
            let service = self.caches.joined(name);
            if conntrack::loses_endpoints(self.planner.service(name), service.as_ref()) {
                self.pending.lost.insert(name.clone());
            }
            self.pending
                .changes
                .extend(self.planner.set_service(name, service));
            let port = self.caches.health_check_port(name);
            self.tallies.count(name, port, &self.planner);
        }
        self.pending.dirty.services.extend(dirty.services);
        self.pending.dirty.triggers.extend(dirty.triggers);
    }

    /// Brings the kernel to where the table is and says whether it is there.
    async fn sync(&mut self) -> bool {
        if self.full || !self.pending.changes.is_empty() {
            let families = self.families();
            self.metrics.queued(&families);
            let started = Instant::now();
            if let Err(error) = self.tell_dataplane().await {
                self.metrics.failed(&families);
                tracing::error!(%error, "the kernel was not changed; everything is compared again");
                self.full = true;
                self.pending.changes.clear();
                return false;
            }
            let took = started.elapsed();
            self.metrics.synced(self.full, &families, took);
            self.metrics.programmed(&self.pending.dirty.triggers);
            self.full = false;
        }
        self.health.done();
        self.metrics.done();
        self.tell_health_checks();
        let done = std::mem::take(&mut self.pending);
        self.clean_connections(&done);
        if let Some(ready) = self.ready.take() {
            ready();
        }
        true
    }

    /// Those that the next sync is about.
    fn families(&self) -> Vec<Family> {
        let mut families = Family::BOTH.to_vec();
        if !self.full {
            families.retain(|family| self.pending.changes.iter().any(|c| c.touches(*family)));
        }
        families
    }

    async fn tell_dataplane(&mut self) -> Result<(), dataplane::Error> {
        let mut dataplane = self
            .dataplane
            .take()
            .expect("the data plane is back after each sync");
        let changes = std::mem::take(&mut self.pending.changes);
        // A full sync reads the whole table, so the planner goes along for as long as it takes.
        let planner = std::mem::take(&mut self.planner);
        let full = self.full;
        let work = move || {
            let applied = match full {
                true => dataplane.adopt(planner.table()),
                false => dataplane.apply(&changes),
            };
            (dataplane, planner, applied)
        };
        let (dataplane, planner, applied) = spawn_blocking(work)
            .await
            .expect("the data plane does not panic");
        self.dataplane = Some(dataplane);
        self.planner = planner;
        let Applied {
            operations,
            transactions,
            texts,
        } = applied?;
        tracing::debug!(
            full,
            operations,
            transactions,
            texts,
            "the kernel is up to date"
        );
        self.metrics.operations.inc_by(operations as u64);
        Ok(())
    }

    fn tell_health_checks(&mut self) {
        self.metrics.no_local_endpoints(self.tallies.no_local());
        if let Some(services) = self.tallies.changed_health_checks() {
            let addresses = &self.planner.node().node_port_addresses;
            let (all_open, refused) = self.service_ports.set(addresses, services);
            refused
                .iter()
                .for_each(|refused| self.events.refused(refused));
            if !all_open {
                self.tallies.tell_health_checks_again();
            }
        }
    }

    /// In a task of its own: it lists connections, and the next change should not wait for that.
    fn clean_connections(&mut self, done: &Pending) {
        let (changed, lost) = (done.dirty.services.iter(), done.lost.iter());
        let Some(plan) = conntrack::plan(&self.planner, changed, lost) else {
            return;
        };
        let metrics = Arc::clone(&self.metrics);
        self.cleaners.spawn_blocking(move || {
            let started = Instant::now();
            match plan.carry_out() {
                Ok(deleted) => metrics.cleaned(deleted, started.elapsed()),
                Err(error) => {
                    tracing::warn!(%error, "cannot forget connections to endpoints that are gone");
                }
            }
        });
    }

    fn reap(&mut self) {
        while self.cleaners.try_join_next().is_some() {}
    }
}
