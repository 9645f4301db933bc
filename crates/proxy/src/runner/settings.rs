//! Kernel settings that a node with many connections needs, as kube-proxy has them. What is the
//! whole machine's may be read-only here; that is said, and no reason to stop.

use kernel::sysctl;

/// kube-proxy's defaults: so many connections per core, and no fewer than the second.
const PER_CORE: usize = 32_768;
const AT_LEAST: usize = 131_072;
/// Seconds: a day for established connections, an hour for those that one side has closed.
const TIMEOUTS: [(&str, u64); 2] = [
    ("net/netfilter/nf_conntrack_tcp_timeout_established", 86_400),
    ("net/netfilter/nf_conntrack_tcp_timeout_close_wait", 3_600),
];

pub(super) fn apply() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wanted = (cores * PER_CORE).max(AT_LEAST) as u64;
    set("net/netfilter/nf_conntrack_max", wanted, |current| {
        current < wanted
    });
    for (key, seconds) in TIMEOUTS {
        set(key, seconds, |current| current != seconds);
    }
}

fn set(key: &str, value: u64, is_wrong: impl Fn(u64) -> bool) {
    let current = sysctl::get(key)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if current.is_some_and(|current| !is_wrong(current)) {
        return;
    }
    if let Err(error) = sysctl::set(key, &value.to_string()) {
        tracing::info!(%error, value, "a setting of the kernel stays as it is");
    }
}
