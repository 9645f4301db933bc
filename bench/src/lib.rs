//! Benchmarks, each a program of its own in `src/bin`. All need root and send packets only within
//! namespaces of their own.
//!
//! `flip [SERVICES…]`: how long the proxy takes from an event of the API to packets, and to its start.
//!
//! `start_up`: from `fairway up` to the first answer over a load balancer's address, and the memory of all
//! processes (it runs the `fairway` program beside it: `cargo build --release --workspace`).
//!
//! `traffic`: which requests fail while pods, nodes and the control plane come and go.

pub mod memory;
