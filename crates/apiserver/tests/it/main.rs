//! The server over the embedded store, asked in this process and over its own sockets.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod cluster;
mod concurrency;
mod lists;
mod quotas;
mod rights;
mod sockets;
mod watches;
