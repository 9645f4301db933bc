//! What the tests of several crates share.
//!
//! [`recorded`] replays questions that an unmodified Kubernetes was asked, and holds our answers to its.

pub mod recorded;
