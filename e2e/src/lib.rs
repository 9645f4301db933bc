//! The product as its user meets it, for tests and benchmarks: a host of its own ([`Host`]), the
//! `fairway` program in it ([`Product`]), a client that keeps sending requests ([`load`]), commands
//! with what they must print ([`script`]), what runs on it ([`workload`]), and a search for what must not be
//! left ([`traces`]).

pub mod host;
pub mod load;
pub mod product;
pub mod script;
pub mod traces;
pub mod workload;

pub use host::Host;
pub use product::{Product, Said};
