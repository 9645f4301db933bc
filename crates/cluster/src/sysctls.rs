//! The kernel settings of each namespace, whole: a new namespace inherits the host's IPv4 settings,
//! whatever those are, so nothing is left to chance.

use crate::options::Settings;

/// A setting and its value.
pub(crate) type Sysctl = (String, String);

/// What every namespace of a cluster gets. The forwarding switches come first: writing them resets
/// others.
pub(crate) fn of_all(forwards: bool) -> Vec<Sysctl> {
    let forwards = if forwards { "1" } else { "0" };
    let mut sysctls = vec![
        sysctl("net/ipv4/ip_forward", forwards),
        sysctl("net/ipv6/conf/all/forwarding", forwards),
        sysctl("net/ipv6/conf/default/forwarding", forwards),
    ];
    for scope in ["all", "default"] {
        let ipv4 = [
            // What comes in by one link may well be answered by another.
            ("rp_filter", "0"),
            // One-armed forwarding would redirect clients past the NAT.
            ("send_redirects", "0"),
            ("accept_redirects", "0"),
            // An address is answered for on the link that has it, and only there.
            ("arp_ignore", "1"),
            ("arp_announce", "0"),
            ("arp_filter", "0"),
            ("proxy_arp", "0"),
            ("route_localnet", "0"),
            ("accept_local", "0"),
            ("accept_source_route", "0"),
            ("forwarding", forwards),
        ];
        let ipv6 = [
            ("disable_ipv6", "0"),
            ("accept_ra", "0"),
            ("autoconf", "0"),
            ("accept_redirects", "0"),
            // Addresses are given out by us and unique; waiting a second for a proof is for others.
            ("accept_dad", "0"),
            ("dad_transmits", "0"),
        ];
        sysctls.extend(
            ipv4.map(|(name, value)| sysctl(&format!("net/ipv4/conf/{scope}/{name}"), value)),
        );
        sysctls.extend(
            ipv6.map(|(name, value)| sysctl(&format!("net/ipv6/conf/{scope}/{name}"), value)),
        );
    }
    sysctls
}

/// What a node gets besides: no process of its own may take a node port by chance.
pub(crate) fn of_node(settings: &Settings) -> Vec<Sysctl> {
    let (first, last) = settings.node_ports;
    let mut sysctls = of_all(true);
    sysctls.push(sysctl(
        "net/ipv4/ip_local_reserved_ports",
        &format!("{first}-{last}"),
    ));
    sysctls
}

fn sysctl(name: &str, value: &str) -> Sysctl {
    (name.to_owned(), value.to_owned())
}
