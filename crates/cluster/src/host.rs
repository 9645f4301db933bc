//! What the host must offer before anything is made: root, kernel features, free ranges, a free
//! port. Everything that is missing is told at once.

use std::path::Path;

use ipnet::IpNet;
use kernel::Netlink;
use kernel::cgroup;
use kernel::netlink::Route;

use crate::error::Error;
use crate::options::{Settings, overlap};

/// Routes as short as this are a way out of the machine, not a range of it; a VPN that wants all
/// traffic has two of length 1.
const LONGEST_DEFAULT: u8 = 1;

/// Checks the machine, apart from what depends on the options.
pub(crate) fn check_machine() -> Result<(), Error> {
    let mut problems = Vec::new();
    if !kernel::process::is_root() {
        problems.push(
            "it must be started by root (sudo fairway up): it makes network namespaces".to_owned(),
        );
    }
    if let Err(error) = cgroup::unified_mount() {
        problems.push(error.to_string());
    }
    if !Path::new("/proc/sys/net/ipv6").exists() {
        problems.push("this kernel has no IPv6 (was it started with ipv6.disable=1?)".to_owned());
    }
    if !in_path("nft") {
        problems.push("the program nft is missing (apt-get install nftables)".to_owned());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Host(problems))
    }
}

/// Checks that nobody uses the ranges that the host is going to route to the cluster.
pub(crate) async fn check_ranges(netlink: &Netlink, settings: &Settings) -> Result<(), Error> {
    let routes = netlink.routes().await?;
    let mut problems = taken("--lan", &settings.lan, &routes);
    problems.extend(taken(
        "--load-balancer-pool",
        &settings.load_balancer_pools,
        &routes,
    ));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Host(problems))
    }
}

/// Checks that the API server can listen.
pub(crate) fn check_port(settings: &Settings) -> Result<(), Error> {
    let address = settings.listen;
    let listener = kernel::socket::listen_tcp(address);
    listener.map(drop).map_err(|error| match error {
        kernel::socket::SocketError::Listen { source, .. } => Error::Listen { address, source },
        other => Error::Listen {
            address,
            source: std::io::Error::other(other),
        },
    })
}

fn taken(option: &str, ranges: &[IpNet], routes: &[Route]) -> Vec<String> {
    let uses = |range: &IpNet| {
        routes
            .iter()
            .find(|route| {
                route.destination.prefix_len() > LONGEST_DEFAULT && overlap(&route.destination, range)
            })
            .map(|route| {
                format!(
                    "{range} is in use: this host has a route to {}; choose another range with {option}",
                    route.destination
                )
            })
    };
    ranges.iter().filter_map(uses).collect()
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_by_a_wider_or_narrower_route_but_not_by_a_default_one() {
        let ranges = ["198.18.0.0/24".parse().unwrap()];
        for (route, expected) in [
            ("198.18.0.0/15", true),
            ("198.18.0.7/32", true),
            ("198.18.1.0/24", false),
            ("0.0.0.0/0", false),
            ("128.0.0.0/1", false),
        ] {
            let routes = [Route::on_link(route.parse().unwrap(), 2)];
            assert_eq!(
                !taken("--lan", &ranges, &routes).is_empty(),
                expected,
                "{route}"
            );
        }
    }
}
