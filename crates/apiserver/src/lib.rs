//! The Kubernetes API over a [`store::Store`].
//!
//! A request goes [`server`] (sockets, TLS, who asks) → `routes` (what is asked) → `verbs` (one file each)
//! → `write`, the one pipeline of every change, or [`registry`], the watch cache that every read is served
//! from. Kinds are declarations in [`api::resources`]; a kind whose writes need more keys than its own in the
//! same transaction brings a [`reserve::Reserve`].
//!
//! **Invariant:** an address or port is held if and only if a stored Service holds it, across any crash.

mod codec;
mod config;
pub mod keys;
pub mod registry;
pub mod reserve;
pub mod service;

pub use codec::encode;
pub use config::Config;
