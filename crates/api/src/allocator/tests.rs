use std::collections::BTreeSet;
use std::net::IpAddr;

use super::*;

fn range(cidr: &str) -> AddressRange {
    AddressRange::new(cidr.parse().unwrap()).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_static_band_grows_in_steps() {
    let cases = [
        (
            "10.96.0.0/12",
            256,
            "10.96.1.0",
            "10.96.1.1",
            "10.111.255.254",
        ),
        ("10.0.0.0/24", 16, "10.0.0.16", "10.0.0.17", "10.0.0.254"),
        ("10.0.0.0/20", 255, "10.0.0.255", "10.0.1.0", "10.0.15.254"),
        ("fd00::/108", 256, "fd00::100", "fd00::101", "fd00::f:ffff"),
        (
            "fd00::/64",
            256,
            "fd00::100",
            "fd00::101",
            "fd00::ffff:ffff:ffff:ffff",
        ),
    ];
    for (cidr, size, last_static, first_dynamic, last) in cases {
        let range = range(cidr);
        assert_eq!(range.static_size(), size, "{cidr}");
        assert!(range.is_static(ip(last_static)), "{cidr}");
        assert!(!range.is_static(ip(first_dynamic)), "{cidr}");
        assert!(range.contains(ip(last)), "{cidr}");
        assert_eq!(range.pick(0, |_| false), Some(ip(first_dynamic)), "{cidr}");
    }
    assert_eq!(range("10.0.0.0/28").static_size(), 0);
    assert_eq!(PortRange::new(30_000..=32_767).static_size(), 86);
    assert_eq!(PortRange::new(1..=16).static_size(), 0);
}

#[test]
fn network_and_broadcast_addresses_are_not_usable() {
    let four = range("10.96.0.0/16");
    assert!(!four.contains(ip("10.96.0.0")) && !four.contains(ip("10.96.255.255")));
    assert!(four.contains(ip("10.96.0.1")) && four.contains(ip("10.96.255.254")));
    assert!(!four.contains(ip("10.97.0.0")) && !four.contains(ip("10.95.255.255")));
    assert!(!four.contains(ip("fd00::1")));
    let six = range("fd00:10:96::/112");
    assert!(!six.contains(ip("fd00:10:96::")) && six.contains(ip("fd00:10:96::ffff")));
    assert_eq!(four.first(), Some(ip("10.96.0.1")));
    assert_eq!(range("10.0.0.0/32").size(), 0);
    assert_eq!(range("10.0.0.0/31").first(), None);
    assert_eq!(AddressRange::new("fd00::/63".parse().unwrap()), None);
}

#[test]
fn picking_walks_around_the_upper_band_and_then_the_lower() {
    let range = range("10.0.0.0/24");
    let mut taken = BTreeSet::new();
    let picks: Vec<IpAddr> = (0..254)
        .map(|_| {
            let pick = range.pick(237, |address| taken.contains(&address)).unwrap();
            taken.insert(pick);
            pick
        })
        .collect();
    assert_eq!(picks[0], ip("10.0.0.254"), "237 is the last of 238");
    assert_eq!(picks[1], ip("10.0.0.17"), "around");
    assert_eq!(picks[237], ip("10.0.0.253"), "the upper band is used up");
    assert_eq!(
        picks[238],
        ip("10.0.0.14"),
        "237 modulo 16 in the lower band"
    );
    assert_eq!(picks[253], ip("10.0.0.13"));
    assert_eq!(
        range.pick(5, |address| taken.contains(&address)),
        None,
        "full"
    );
}

#[test]
fn ports_are_picked_alike() {
    let range = PortRange::new(30_000..=32_767);
    assert_eq!(range.to_string(), "30000-32767");
    assert_eq!(range.pick(0, |_| false), Some(30_086));
    assert_eq!(range.pick(2_681, |_| false), Some(32_767));
    assert_eq!(range.pick(0, |port| port >= 30_086), Some(30_000));
    assert_eq!(range.pick(0, |_| true), None);
    let cases = [
        (29_999, None),
        (30_000, Some(30_000)),
        (32_768, None),
        (-1, None),
        (95_536, None),
    ];
    for (number, port) in cases {
        assert_eq!(range.port(number), port);
    }
    let whole = PortRange::new(1..=u16::MAX);
    assert_eq!(whole.static_size(), 128);
    assert_eq!(
        whole.pick(u64::MAX, |_| false).map(|port| port > 128),
        Some(true)
    );
}
