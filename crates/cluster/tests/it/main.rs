//! Whole clusters with stand-ins for the roles, against the real kernel. They need root. Each test
//! has a network namespace of its own as its host, and a data directory of its own; both go away,
//! and so does the cluster, when it fails.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

mod crash;
mod lab;
mod whole;
