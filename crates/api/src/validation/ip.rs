//! IP addresses and CIDRs as API fields, by the three rules that Kubernetes knows.
//!
//! *Sloppy* reads what Go before 1.17 read: leading zeros and IPv4-mapped IPv6 (which means the IPv4
//! address). *Legacy* fields (clusterIPs, externalIPs, ingress addresses, source ranges) are strict since
//! KEP-4858, but values that the stored object already has stay. New fields are strict and canonical.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::field::{Path, Problem, Problems};

/// Reads an address as old Go did. An IPv4-mapped IPv6 address is the IPv4 address.
pub fn parse_sloppy(value: &str) -> Option<IpAddr> {
    if value.contains(':') {
        let groups: Vec<String> = value.split(':').map(short_group).collect();
        let address: Ipv6Addr = groups.join(":").parse().ok()?;
        return Some(IpAddr::V6(address).to_canonical());
    }
    let address: Ipv4Addr = short_octets(value).parse().ok()?;
    Some(IpAddr::V4(address))
}

fn short_group(group: &str) -> String {
    if group.contains('.') {
        short_octets(group)
    } else {
        without_zeros(group)
    }
}

fn short_octets(value: &str) -> String {
    let octets: Vec<String> = value.split('.').map(without_zeros).collect();
    octets.join(".")
}

fn without_zeros(number: &str) -> String {
    let rest = number.trim_start_matches('0');
    let rest = if rest.is_empty() && !number.is_empty() {
        "0"
    } else {
        rest
    };
    rest.to_owned()
}

/// Whether a text reads as an IPv6 address (IPv4-mapped ones are IPv4).
pub fn is_v6(value: &str) -> bool {
    matches!(parse_sloppy(value), Some(IpAddr::V6(_)))
}

fn strict_ip(path: &Path, value: &str) -> Problems {
    let invalid = |text: &str| Problem::invalid(path.clone(), value, text);
    if parse_sloppy(value).is_none() {
        let words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        return vec![invalid(words)];
    }
    match value.parse::<IpAddr>() {
        Err(_) => vec![invalid("must not have leading 0s")],
        Ok(address) if is_mapped(address) => {
            vec![invalid("must not be an IPv4-mapped IPv6 address")]
        }
        Ok(_) => Problems::new(),
    }
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// An address in a new field: strict, and in its canonical form.
pub fn ip(path: &Path, value: &str) -> Problems {
    let mut problems = strict_ip(path, value);
    let canonical = parse_sloppy(value).map(|address| address.to_string());
    if let (true, Some(canonical)) = (problems.is_empty(), canonical)
        && canonical != value
    {
        let text = format!("must be in canonical form (\"{canonical}\")");
        problems.push(Problem::invalid(path.clone(), value, text));
    }
    problems
}

/// An address in an old field: strict, unless the stored object has the very text.
pub fn legacy_ip(path: &Path, value: &str, old: &[&str]) -> Problems {
    if old.contains(&value) {
        Problems::new()
    } else {
        strict_ip(path, value)
    }
}

/// A CIDR read as old Go did: its address and its network.
pub fn parse_cidr_sloppy(value: &str) -> Option<(IpAddr, IpNet)> {
    let (address, bits) = value.split_once('/')?;
    let all_digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    let bits: u8 = without_zeros(bits).parse().ok().filter(|_| all_digits)?;
    let parsed = parse_sloppy(address)?;
    let mapped = parsed.is_ipv4() && address.contains(':');
    let bits = if mapped { bits.checked_sub(96)? } else { bits };
    let net = IpNet::new(parsed, bits).ok()?;
    Some((parsed, net.trunc()))
}

fn strict_cidr(path: &Path, value: &str) -> Problems {
    let invalid = |text: &str| vec![Problem::invalid(path.clone(), value, text)];
    if parse_cidr_sloppy(value).is_none() {
        return invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
    match parse_cidr_strict(value) {
        Some(net) => {
            if is_mapped(net.addr()) {
                invalid("must not have an IPv4-mapped IPv6 address")
            } else if net.addr() != net.network() {
                invalid("must not have bits set beyond the prefix length")
            } else {
                Problems::new()
            }
        }
        None => invalid("must not have leading 0s in IP or prefix length"),
    }
}

/// Reads a CIDR without leading zeros; `ipnet`'s own parser lets them pass.
fn parse_cidr_strict(value: &str) -> Option<IpNet> {
    let (address, bits) = value.split_once('/')?;
    let plain = bits == "0" || !bits.starts_with(['0', '+']);
    IpNet::new(address.parse().ok()?, bits.parse().ok().filter(|_| plain)?).ok()
}

/// A CIDR in a new field: strict, and in its canonical form.
pub fn cidr(path: &Path, value: &str) -> Problems {
    let mut problems = strict_cidr(path, value);
    let canonical = parse_cidr_sloppy(value).map(|(_, net)| net.to_string());
    if let (true, Some(canonical)) = (problems.is_empty(), canonical)
        && canonical != value
    {
        let text = format!("must be in canonical form (\"{canonical}\")");
        problems.push(Problem::invalid(path.clone(), value, text));
    }
    problems
}

/// A CIDR in an old field: strict, unless the stored object has the very text.
pub fn legacy_cidr(path: &Path, value: &str, old: &[&str]) -> Problems {
    if old.contains(&value) {
        Problems::new()
    } else {
        strict_cidr(path, value)
    }
}

/// What a client is warned about an address that was accepted all the same.
pub fn warnings_for_ip(path: &Path, value: &str) -> Vec<String> {
    let Some(address) = parse_sloppy(value) else {
        return Vec::new();
    };
    match value.parse::<IpAddr>() {
        Ok(strict) if !is_mapped(strict) => {
            let canonical = strict.to_string();
            let differs = strict.is_ipv6() && canonical != value;
            let text = format!(
                "{path}: IPv6 address \"{value}\" should be in RFC 5952 canonical format (\"{canonical}\")"
            );
            differs.then_some(text).into_iter().collect()
        }
        _ => vec![format!(
            "{path}: non-standard IP address \"{value}\" is invalid: use \"{address}\""
        )],
    }
}

/// What a client is warned about a CIDR that was accepted all the same.
pub fn warnings_for_cidr(path: &Path, value: &str) -> Vec<String> {
    let Some((address, net)) = parse_cidr_sloppy(value) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if address != net.network() {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        warnings.push(format!(
            "{path}: CIDR value \"{value}\" is ambiguous in this context \
             (should be \"{net}\" or \"{address}/{bits}\"?)"
        ));
    }
    match parse_cidr_strict(value) {
        Some(strict) if !is_mapped(strict.addr()) => {
            if warnings.is_empty() && strict.addr().is_ipv6() && strict.to_string() != value {
                warnings.push(format!(
                    "{path}: IPv6 CIDR value \"{value}\" should be in RFC 5952 canonical format \
                     (\"{strict}\")"
                ));
            }
        }
        _ => warnings.push(format!(
            "{path}: non-standard CIDR value \"{value}\" is invalid: use \"{net}\""
        )),
    }
    warnings
}

/// An address that packets can be sent to: not unspecified, loopback or link-local.
pub fn endpoint_ip(path: &Path, value: &str) -> Problems {
    let Some(address) = parse_sloppy(value) else {
        let words = "must be a valid IP address";
        return vec![Problem::invalid(path.clone(), value, words)];
    };
    let complaint = if address.is_unspecified() {
        format!("may not be unspecified ({value})")
    } else if address.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
    } else if is_link_local(address) {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
    } else if is_link_local_multicast(address) {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
    } else {
        return Problems::new();
    };
    vec![Problem::invalid(path.clone(), value, complaint)]
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        // Go looks at the flags and the scope: ff02::/16.
        IpAddr::V6(v6) => v6.segments()[0] == 0xff02,
    }
}

#[cfg(test)]
mod tests;
