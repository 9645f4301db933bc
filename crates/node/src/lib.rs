//! A machine of the cluster: registers its Node, builds pod networks, has pods run, and reports.
//!
//! Decisions are pure functions in `pod`; carrying them out is `worker`'s, one task per pod. Containers
//! run in a supervisor process per pod (crate `pod`), so this agent may die and come back: it adopts what
//! runs. It knows nothing of Services but the variables that containers get of them.
//!
//! Follow a pod: `pods` (the watch) → `worker` (its task) → `pod::plan` (what to do) → `pod_network` and
//! `supervisor` (doing it) → `pod::status` (what is reported).
//!
//! **Invariant:** a pod is ready only when it answers inside its namespace as its probe demands.

mod address_pool;
mod config;
mod context;
mod error;
mod events;
mod exec;
pub mod image;
mod logs;
mod machine;
mod node_network;
mod objects;
mod pod;
mod pod_network;
mod pods;
mod probe;
mod registration;
mod run;
mod server;
mod services;
mod supervisor;
mod volume;
mod worker;

pub use config::{Config, KUBELET_PORT, LEASE_DURATION, LEASE_RENEW, Ready, RuntimeKind};
pub use error::Error;
pub use run::run;
