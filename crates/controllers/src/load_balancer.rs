//! Gives each Service of type LoadBalancer its address (upstream: service-lb-controller).

pub mod pools;

pub use pools::Pools;

use crate::config::{Config, Selection};

/// Runs this controller alone, as a load balancer in somebody else's cluster does.
pub async fn run(mut config: Config, shutdown: impl Future<Output = ()> + Send) {
    config.enabled = Selection::only("service-lb-controller");
    crate::run(config, shutdown).await;
}
