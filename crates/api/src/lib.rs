//! What the served objects mean, without time, sockets or storage.
//!
//! Start at [`resource`]: each served kind is a declaration there, and the API server's generic machinery
//! runs over the list. Objects are JSON values in Kubernetes' canonical form (see [`schema`]); typed structs
//! from `k8s-openapi` serve where code reads better with them.
//!
//! **Invariant:** validating an object needs nothing but the object and its predecessor.

pub mod age;
pub mod allocator;
pub mod config_map;
mod data_keys;
pub mod deployment;
pub mod disruption_budget;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod field;
pub mod ip_address;
pub mod lease;
pub mod managed_fields;
pub mod namespace;
pub mod node;
pub mod openapi;
pub mod patch;
mod plain;
pub mod pod;
pub mod pod_template;
pub mod printer;
pub mod priority_class;
pub mod protobuf;
pub mod quota;
pub mod replica_set;
pub mod resource;
pub mod resource_quota;
pub mod resources;
pub mod scale;
pub mod schema;
pub mod secret;
pub mod selector;
pub mod service;
pub mod service_account;
pub mod service_cidr;
pub mod status;
pub mod validation;
pub mod workload;
