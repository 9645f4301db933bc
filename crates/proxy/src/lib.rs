//! A node's Services: what the Kubernetes API says about Services and EndpointSlices becomes the
//! node's forwarding table, and a data plane carries it out. It works against any Kubernetes API.
//!
//! The way of a change: `watch` hears of it, `caches` keeps what matters, `snapshot` turns
//! it into plain values, `forwarding` decides, and `runner` has the data plane do it. Why a packet
//! goes somewhere is `forwarding`'s business, how the kernel is told is `dataplane`'s.

mod caches;
mod config;
mod conntrack;
mod events;
mod health;
mod http;
mod metrics;
mod node;
pub mod objects;
mod runner;
pub mod snapshot;
mod watch;

pub use config::{Config, NodePortAddresses};
pub use runner::{Error, run};

use dataplane::{Dataplane, Nftables};

/// Takes away every rule that a proxy ever put into this network namespace.
pub fn clean_up() -> Result<(), dataplane::Error> {
    Nftables::open()?.clean_up()
}
