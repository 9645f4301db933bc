//! The supervisor of one pod: a small process with one thread that starts the pod's containers, writes their
//! logs and their end to files, and does what the node's agent asks over a socket.
//!
//! It holds the pod's network, IPC and UTS namespaces simply by living in them, as a pause container would,
//! so they last exactly as long as the pod can and nothing is left behind when it is killed. It has a
//! session of its own and needs nobody: the agent may die, restart or be upgraded meanwhile.
//! It knows no Kubernetes objects and never decides what to do next; that is the agent's plan.
//!
//! Start at [`run`], then [`protocol`].
//!
//! **Invariant:** the agent's death, restart or upgrade changes nothing for a running container; no log line
//! is lost or doubled.

mod config;
mod connection;
mod container;
mod error;
mod exec;
mod isolation;
mod log;
mod pid_namespace;
pub mod protocol;
pub mod record;
mod run;
mod runtime;

pub use config::{CONFIG_FILE, Config, PID_NAMESPACE_FILE, READY_LINE, SOCKET_FILE, Tmpfs};
pub use error::Error;
pub use run::run;
