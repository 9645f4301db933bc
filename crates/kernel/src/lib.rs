//! The kernel, reached through narrow safe functions: network namespaces, links, mounts, cgroups,
//! processes and the packets that announce an address. All `unsafe` of the project is here, each
//! block with the sentence that justifies it. This crate knows no API object: its callers say what
//! they want in addresses, names and paths.
#![allow(
    unsafe_code,
    reason = "system calls that std and nix do not wrap live here, so that no other crate needs any"
)]

pub mod announce;
pub mod cgroup;
pub mod command;
pub mod conntrack;
pub mod echo;
pub mod mount;
pub mod namespace;
mod netfilter;
pub mod netlink;
pub mod nft;
pub mod process;
pub mod socket;
pub mod spawn;
pub mod sysctl;
mod watch;

pub use cgroup::Cgroup;
pub use namespace::NetNs;
pub use netlink::Netlink;
pub use process::Pidfd;
pub use watch::watch;
