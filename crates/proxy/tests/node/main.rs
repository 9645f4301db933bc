//! The proxy as a process beside its data plane: connections that outlive their endpoints, what others
//! may ask it, and its own death (root).
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

mod affinity;
mod asked;
mod node_ports;
mod place;
mod restart;
mod tcp;
mod udp;
