//! The external load balancer: it owns the addresses that Services of type LoadBalancer were given, checks
//! the nodes' health, and spreads connections over them.
//!
//! [`objects`] turns Services and Nodes into a plain [`model`]; [`plan`] computes from model and health what
//! should be in the kernel; `sync` tells the kernel the difference; [`run`] drives it. Which node a client
//! gets is decided by a Maglev ring, so that losing one node moves only that node's connections.

mod config;
mod forget;
mod health;
pub mod model;
pub mod objects;
pub mod plan;
mod rules;
mod run;
mod sync;

pub use config::Config;
pub use run::{BalancerError, run};
