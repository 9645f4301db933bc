//! Runs the controllers against whatever cluster the kubeconfig names: `alone [LIST [POOL...]]`,
//! with a CA to publish in `ROOT_CA`.
//!
//! To hold them to a real API server, for instance, or to see what one of them does.

use controllers::load_balancer::Pools;
use controllers::{Config, PodRange, Selection};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "controllers=debug".into());
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let mut arguments = std::env::args().skip(1);
    let mut config = Config::new(kube::Client::try_default().await?, "alone");
    config.enabled = Selection::parse(&arguments.next().unwrap_or_else(|| "*".to_owned()))?;
    config.pools = Pools::parse(arguments)?;
    config.pod_ranges = vec![PodRange::new("10.244.0.0/16".parse()?)];
    config.root_ca = std::env::var("ROOT_CA").ok();
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    controllers::run(config, stop).await;
    Ok(())
}
