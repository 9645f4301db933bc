//! The balancer with real packets: a client, nodes with their real proxies, pods, and an API that holds
//! whatever a test says (root).
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

mod errors;
mod failures;
mod hand_over;
mod place;
mod raw;
mod translate;
