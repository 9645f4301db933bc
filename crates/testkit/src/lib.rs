//! What the tests of several crates share.
//!
//! [`recorded`] replays questions that an unmodified Kubernetes was asked, and holds our answers to its.
//! [`archive`] is an image to load. [`objects`] is a Kubernetes API that holds objects and knows no rules, for processes that only read;
//! [`lab`] is a network of namespaces with a client, a balancer, nodes and pods, for real packets.

pub mod archive;
pub mod lab;
pub mod objects;
pub mod recorded;
