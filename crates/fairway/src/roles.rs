//! The roles that `up` starts, each also a command of its own.

pub(crate) mod balancer;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod proxy;
pub(crate) mod server;

/// This process among others that compete for a Lease: the machine's name and a random part.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{:08x}", host.trim(), rand::random::<u32>())
}
