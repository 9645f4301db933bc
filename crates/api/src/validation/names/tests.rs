use super::*;

fn check(rule: fn(&str) -> Vec<String>, good: &[&str], bad: &[(&str, &[&str])]) {
    for value in good {
        assert_eq!(rule(value), Vec::<String>::new(), "{value:?}");
    }
    for (value, starts) in bad {
        let found = rule(value);
        assert_eq!(found.len(), starts.len(), "{value:?}: {found:?}");
        for (text, start) in found.iter().zip(*starts) {
            assert!(text.contains(start), "{value:?}: {text}");
        }
    }
}

#[test]
fn a_label_is_short_lower_case_and_without_dots() {
    let long = "a".repeat(64);
    check(
        dns_label,
        &["a", "1", "a-b", &"a".repeat(63)],
        &[
            ("", &["must consist of"]),
            ("a.b", &["must not contain dots"]),
            ("A", &["(e.g. 'my-name',  or '123-abc', regex used"]),
            ("-a", &["must consist of"]),
            ("a-", &["must consist of"]),
            (&long, &["must be no more than 63 characters"]),
        ],
    );
}

#[test]
fn a_subdomain_is_labels_joined_by_dots() {
    check(
        dns_subdomain,
        &["a", "a.b", "1.2.3.4"],
        &[
            ("a..b", &["(e.g. 'example.com', regex"]),
            ("a.", &["subdomain"]),
        ],
    );
    check(dns1035_label, &["a1"], &[("1a", &["a DNS-1035 label"])]);
}

#[test]
fn a_qualified_name_complains_about_prefix_and_name() {
    let long = format!("a/{}", "b".repeat(64));
    check(
        qualified_name,
        &["a", "a.io/B_c", "1"],
        &[
            (
                "",
                &["name part must be non-empty", "name part must consist"],
            ),
            ("/x", &["prefix part must be non-empty"]),
            ("A/x", &["prefix part a lowercase RFC 1123 subdomain"]),
            ("a/b/c", &["a valid label key must consist"]),
            (&long, &["name part must be no more than 63 bytes"]),
        ],
    );
}

#[test]
fn a_label_value_may_be_empty() {
    check(
        label_value,
        &["", "A.b_C-9"],
        &[("b c", &["a valid label must be"])],
    );
}

#[test]
fn a_port_name_is_an_iana_service_name() {
    check(
        port_name,
        &["http", "a-1"],
        &[
            ("0123456789abcdef", &["no more than 15"]),
            ("80", &["at least one letter"]),
            (
                "-A--",
                &[
                    "only alpha-numeric",
                    "one letter",
                    "consecutive",
                    "begin or end",
                ],
            ),
        ],
    );
    assert_eq!(
        port_number(65536),
        ["must be between 1 and 65535, inclusive"]
    );
}

#[test]
fn a_prefix_may_end_in_a_dash() {
    assert!(dns_label_name("web-", true).is_empty());
    assert!(!dns_label_name("web-", false).is_empty());
    assert!(!dns_label_name("-ab", true).is_empty());
}

#[test]
fn other_names_keep_their_alphabets() {
    check(c_identifier, &["_a1"], &[("1a", &["C identifier"])]);
    check(env_var_name, &["a.b-C"], &[("..", &["must not be '..'"])]);
    check(relaxed_env_var_name, &["1 x"], &[("a=b", &["printable"])]);
    check(
        config_map_key,
        &["a.b"],
        &[("..a", &["must not start"]), ("a b", &["config key"])],
    );
    check(percent, &["25%"], &[("%", &["'1%',  or '93%'"])]);
    check(http_header_name, &["X-A"], &[("a b", &["HTTP header"])]);
    assert_eq!(path_segment_name("..", false), ["may not be '..'"]);
    assert_eq!(path_segment_name("a/%", false).len(), 2);
}
