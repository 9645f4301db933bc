//! The Kubernetes API over a [`store::Store`].
//!
//! A request goes [`server`] (sockets, TLS, who asks) → `routes` (what is asked) → `verbs` (one file each)
//! → `write`, the one pipeline of every change, or [`registry`], the watch cache that every read is served
//! from. Kinds are declarations in [`api::resources`]; a kind whose writes need more keys than its own in the
//! same transaction brings a [`reserve::Reserve`].
//!
//! **Invariant:** an address or port is held if and only if a stored Service holds it, across any crash.

mod accept;
mod admission;
mod api_state;
mod body;
mod builtin;
mod call;
mod codec;
mod config;
mod decode;
mod discovery;
mod dispatch;
mod expiry;
mod fields;
mod health;
mod identity;
pub mod keys;
mod kubelet;
mod metrics;
mod not_yet;
mod openapi;
mod options;
mod patches;
pub mod pki;
mod pod_admission;
mod priority;
mod query;
mod quota;
pub mod registry;
mod render;
mod reply;
pub mod reserve;
mod review;
mod routes;
mod server;
pub mod service;
mod service_account;
mod subresources;
mod verbs;
mod write;

pub use body::Body;
pub use codec::encode;
pub use config::Config;
pub use identity::Identity;
pub use server::{ApiService, Server, StartError, write_admin_kubeconfig};
