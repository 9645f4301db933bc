//! The controllers: what makes ReplicaSets of Deployments, pods of ReplicaSets, endpoints of pods and addresses
//! of Services.
//!
//! One module per controller: a pure `plan` that says what has to change, and a short loop that carries it out.
//! They share caches, one per kind ([`Caches`](caches::Caches)), and a keyed queue each. They talk to an API server through
//! a `kube::Client`, be it over the network or the router in the same process.
//!
//! **Invariant:** `plan` twice has no second effect; a controller keeps no truth of its own.

mod cache;
mod caches;
pub mod config;
mod context;
mod deployment;
mod discovery;
mod disruption;
mod endpoint_slices;
mod endpoints;
mod error;
mod garbage_collector;
mod key;
mod leader;
pub mod load_balancer;
mod meta;
mod mirroring;
mod namespaces;
mod node_ipam;
mod node_lifecycle;
mod node_ttl;
mod owner;
mod pod_gc;
mod pods;
mod quantity;
mod queue;
mod recorder;
mod replica_set;
mod resource_quota;
mod root_ca;
mod scheduler;
mod selector;
mod service_account;
mod service_cidr;
mod services;
mod share;
mod time;
mod write;

use std::sync::Arc;

pub use config::{Config, LeaderElection, NodeMonitor, PodRange, Selection};
pub use error::ConfigError;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::context::Context;
use crate::leader::Candidate;
use crate::recorder::Recorder;

/// Runs the selected controllers until `shutdown` is ready. With leader election they run while this process leads.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    let Some(election) = config.leader_election.clone() else {
        tokio::select! {
            () = shutdown => {}
            () = run_for_ever(config) => {}
        }
        return;
    };
    let mut candidate = Candidate::new(config.client.clone(), election, config.identity.clone());
    loop {
        let lead = async {
            candidate.acquire().await;
            tokio::select! {
                () = candidate.keep() => {}
                () = run_for_ever(config.clone()) => {}
            }
        };
        tokio::select! {
            () = &mut shutdown => break,
            () = lead => {}
        }
    }
    candidate.release().await;
}

async fn run_for_ever(config: Config) {
    let mut tasks = JoinSet::new();
    let (recorder, events) = Recorder::new(config.client.clone());
    tasks.spawn(events);
    let context = Context {
        client: config.client.clone(),
        caches: Arc::new(Caches::new(config.client.clone())),
        recorder,
        config: Arc::new(config),
    };
    start(&context, &mut tasks);
    while let Some(ended) = tasks.join_next().await {
        if let Err(problem) = ended {
            tracing::error!(%problem, "a controller broke down; the others go on");
        }
    }
}

/// Starts each controller that is selected, by its full name.
fn start(context: &Context, tasks: &mut JoinSet<()>) {
    for (name, run) in CONTROLLERS {
        if context.config.enabled.has(name) {
            tasks.spawn(run(context.clone()));
        }
    }
}

type Run = fn(Context) -> BoxFuture<'static, ()>;

/// Every controller by its full name, as [`config::NAMES`] lists them.
const CONTROLLERS: &[(&str, Run)] = &[
    ("deployment-controller", |context| {
        deployment::run(context).boxed()
    }),
    ("disruption-controller", |context| {
        disruption::run(context).boxed()
    }),
    ("endpoints-controller", |context| {
        endpoints::run(context).boxed()
    }),
    ("endpointslice-controller", |context| {
        endpoint_slices::run(context).boxed()
    }),
    ("endpointslice-mirroring-controller", |context| {
        mirroring::run(context).boxed()
    }),
    ("garbage-collector-controller", |context| {
        garbage_collector::run(context).boxed()
    }),
    ("namespace-controller", |context| {
        namespaces::run(context).boxed()
    }),
    ("node-ipam-controller", |context| {
        node_ipam::run(context).boxed()
    }),
    ("node-lifecycle-controller", |context| {
        node_lifecycle::run(context).boxed()
    }),
    ("pod-garbage-collector-controller", |context| {
        pod_gc::run(context).boxed()
    }),
    ("replicaset-controller", |context| {
        replica_set::run(context).boxed()
    }),
    ("resourcequota-controller", |context| {
        resource_quota::run(context).boxed()
    }),
    ("root-ca-certificate-publisher-controller", |context| {
        root_ca::run(context).boxed()
    }),
    ("scheduler", |context| scheduler::run(context).boxed()),
    ("service-cidr-controller", |context| {
        service_cidr::run(context).boxed()
    }),
    ("service-lb-controller", |context| {
        load_balancer::run_in(context).boxed()
    }),
    ("serviceaccount-controller", |context| {
        service_account::run(context).boxed()
    }),
    ("ttl-controller", |context| node_ttl::run(context).boxed()),
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_controller_can_be_named() {
        let run: Vec<_> = super::CONTROLLERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(run, super::config::NAMES);
    }
}
