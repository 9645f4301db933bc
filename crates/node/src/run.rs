//! A node's run: everything is started here, in order, and ends here.

use std::future::Future;
use std::sync::Arc;

use kernel::Netlink;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::context::Context;
use crate::error::{Error, IoContext};
use crate::events::Events;
use crate::image::ImageStore;
use crate::pods::Pods;
use crate::{node_network, registration, server};

/// Runs a node until `shutdown`. Pods go on when it ends, and the next run adopts them.
///
/// The process must be in the node's network namespace already.
///
/// # Errors
/// What keeps a node from starting: directories, netlink, the server's port or certificate.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    for directory in [&config.data_directory, &config.run_directory] {
        std::fs::create_dir_all(directory).context("create", directory)?;
    }
    let images = ImageStore::open(&config.images_directory)?;
    let events = Events::start(config.client.clone(), config.node_name.clone());
    let context = Arc::new(Context::new(config, Netlink::here()?, images, events));
    allow_forwarding();

    let mut tasks = JoinSet::new();
    let (own_node, own_node_seen) = watch::channel(None);
    let pods = Pods::new(context.clone());
    tasks.spawn(node_network::follow(context.clone(), own_node));
    tasks.spawn({
        let context = context.clone();
        async move {
            let node = registration::register(&context).await;
            tokio::join!(
                registration::keep_lease(context.clone(), node),
                registration::keep_status(context, own_node_seen)
            );
        }
    });
    tasks.spawn({
        let context = context.clone();
        async move { context.services.follow(context.config.client.clone()).await }
    });
    tasks.spawn(pods.follow());
    let server = server::serve(context);
    tokio::select! {
        () = shutdown => Ok(()),
        Err(error) = server => Err(error),
        Some(Err(panic)) = tasks.join_next() => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// A node forwards for its pods. A cluster's launcher has set this already; on a plain machine it is not
/// usual.
fn allow_forwarding() {
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        let set = kernel::sysctl::get(key).is_ok_and(|value| value == "1")
            || kernel::sysctl::set(key, "1").is_ok();
        if !set {
            tracing::warn!(
                key,
                "forwarding could not be switched on; pods may reach nobody"
            );
        }
    }
}
