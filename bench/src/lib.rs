//! Benchmarks, each a program of its own in `src/bin`:
//!
//! `flip [SERVICES…]` (root): how long the proxy takes from an event of the API to packets, and to its start.
