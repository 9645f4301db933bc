use super::*;

fn messages(problems: &Problems) -> Vec<String> {
    problems.iter().map(Problem::message).collect()
}

#[test]
fn sloppy_reading_forgives_zeros_and_mapping() {
    let cases = [
        ("10.0.0.1", Some("10.0.0.1")),
        ("010.000.0.01", Some("10.0.0.1")),
        ("::ffff:1.2.3.4", Some("1.2.3.4")),
        ("::ffff:01.2.3.4", Some("1.2.3.4")),
        ("FD00:00001::", Some("fd00:1::")),
        ("1.2.3", None),
        ("1.2.3.256", None),
        ("", None),
        ("fe80::1%eth0", None),
        (" 1.2.3.4", None),
    ];
    for (value, expected) in cases {
        let read = parse_sloppy(value).map(|address| address.to_string());
        assert_eq!(read.as_deref(), expected, "{value:?}");
    }
}

#[test]
fn legacy_fields_are_strict_but_keep_what_was_stored() {
    let path = Path::new("f");
    let cases = [
        ("10.0.0.1", ""),
        ("2001:DB8::1", ""),
        (
            "x",
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        ("010.0.0.1", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
    ];
    for (value, complaint) in cases {
        let found: Vec<_> = legacy_ip(&path, value, &[])
            .into_iter()
            .map(|p| p.detail)
            .collect();
        let expected: Vec<&str> = [complaint].into_iter().filter(|c| !c.is_empty()).collect();
        assert_eq!(found, expected, "{value}");
        assert!(legacy_ip(&path, value, &[value]).is_empty());
    }
    let canonical = "Invalid value: \"2001:DB8::1\": must be in canonical form (\"2001:db8::1\")";
    assert_eq!(messages(&ip(&path, "2001:DB8::1")), [canonical]);
}

#[test]
fn cidrs_have_four_faults() {
    let path = Path::new("f");
    let cases = [
        ("10.0.0.0/8", ""),
        ("2001:DB8::/32", ""),
        ("0.0.0.0/0", ""),
        (
            "10.0.0.0",
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
        (
            "10.0.0.0/33",
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
        (
            "10.0.0.0/+8",
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
        (
            "010.0.0.0/8",
            "must not have leading 0s in IP or prefix length",
        ),
        (
            "10.0.0.0/08",
            "must not have leading 0s in IP or prefix length",
        ),
        (
            "::ffff:1.2.3.0/120",
            "must not have an IPv4-mapped IPv6 address",
        ),
        (
            "10.0.0.1/8",
            "must not have bits set beyond the prefix length",
        ),
    ];
    for (value, complaint) in cases {
        let found: Vec<_> = legacy_cidr(&path, value, &[])
            .into_iter()
            .map(|p| p.detail)
            .collect();
        let expected: Vec<&str> = [complaint].into_iter().filter(|c| !c.is_empty()).collect();
        assert_eq!(found, expected, "{value}");
    }
    let canonical = "Invalid value: \"FD00::/112\": must be in canonical form (\"fd00::/112\")";
    assert_eq!(messages(&cidr(&path, "FD00::/112")), [canonical]);
}

#[test]
fn accepted_texts_that_are_odd_are_warned_about() {
    let path = Path::new("f");
    let ips = [
        ("10.0.0.1", ""),
        ("nonsense", ""),
        (
            "2001:DB8::1",
            "f: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
        ),
        (
            "010.0.0.1",
            "f: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\"",
        ),
        (
            "::ffff:1.2.3.4",
            "f: non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\"",
        ),
    ];
    for (value, warning) in ips {
        let expected: Vec<&str> = [warning].into_iter().filter(|w| !w.is_empty()).collect();
        assert_eq!(warnings_for_ip(&path, value), expected);
    }
    let cidrs = [
        ("10.0.0.0/8", ""),
        (
            "10.0.0.1/8",
            "f: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
        ),
        (
            "010.0.0.0/8",
            "f: non-standard CIDR value \"010.0.0.0/8\" is invalid: use \"10.0.0.0/8\"",
        ),
        (
            "2001:DB8:0::/32",
            "f: IPv6 CIDR value \"2001:DB8:0::/32\" should be in RFC 5952 canonical format (\"2001:db8::/32\")",
        ),
    ];
    for (value, warning) in cidrs {
        let expected: Vec<&str> = [warning].into_iter().filter(|w| !w.is_empty()).collect();
        assert_eq!(warnings_for_cidr(&path, value), expected);
    }
}

#[test]
fn endpoints_are_reachable_addresses() {
    let path = Path::new("f");
    for value in ["192.0.2.1", "2001:db8::1", "255.255.255.255", "239.1.1.1"] {
        assert!(endpoint_ip(&path, value).is_empty(), "{value}");
    }
    let bad = [
        ("0.0.0.0", "unspecified (0.0.0.0)"),
        ("::", "unspecified (::)"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local range"),
        ("fe80::1", "link-local range"),
        ("224.0.0.1", "link-local multicast"),
        ("ff02::1", "link-local multicast"),
    ];
    for (value, part) in bad {
        let found = endpoint_ip(&path, value);
        assert!(
            found.len() == 1 && found[0].detail.contains(part),
            "{value}"
        );
    }
}
