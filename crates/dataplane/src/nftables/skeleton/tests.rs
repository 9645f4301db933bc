use super::*;

#[test]
fn a_group_reads_like_this() {
    let expected = "\
\tchain n3 {
\t\tdnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @slots4
\t\tdnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 3 map @slots6
\t}
\tchain n3-masquerade {
\t\tmeta mark set meta mark | 0x00004000
\t\tgoto n3
\t}
\tchain n3-outsiders {
\t\tdnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @outsider-slots4
\t\tdnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 3 map @outsider-slots6
\t}
\tchain n3-unless-local {
\t\tip saddr @local4 goto n3
\t\tip6 saddr @local6 goto n3
\t\tgoto n3-masquerade
\t}
\tchain n3-external-local {
\t\tip saddr @local4 goto n3
\t\tip6 saddr @local6 goto n3
\t\tfib saddr type local goto n3-masquerade
\t\tip daddr . meta l4proto . th dport vmap @outsiders4
\t\tip6 daddr . meta l4proto . th dport vmap @outsiders6
\t}
";
    assert_eq!(Group::new(3, None).chains(), expected);
}

#[test]
fn no_rule_about_clients_of_one_family_is_met_by_the_other() {
    let chains = Group::new(3, Some(600)).chains();
    let rules = chains
        .lines()
        .filter(|line| line.contains("@sticky-clients"));
    let (v4, v6): (Vec<&str>, Vec<&str>) =
        rules.partition(|line| line.contains("@sticky-clients4"));
    assert_eq!((v4.len(), v6.len()), (12, 12), "{chains}");
    assert!(v4.iter().all(|line| line.contains("ip saddr")), "{v4:#?}");
    assert!(
        v6.iter().all(|line| line.contains("nfproto ipv6")),
        "{v6:#?}"
    );
}

#[test]
fn no_chain_belongs_to_a_service() {
    let count = table().matches("\tchain ").count();
    assert_eq!(count, 1 + 1 + 3 + READY_MADE * 5);
}

#[test]
fn the_version_follows_the_text() {
    assert_eq!(version(), version());
    assert_ne!(version_of("chain a { }"), version_of("chain b { }"));
}
