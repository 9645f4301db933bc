//! The nft table `fairway-pods`: what pods send out of the cluster carries the node's address, as a network
//! plugin would have it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;

/// The whole table, replaced in one transaction.
pub(super) fn table(own: &[IpNet], cluster: &BTreeSet<IpNet>) -> String {
    let mut text = String::from("add table inet fairway-pods\ndelete table inet fairway-pods\n");
    text.push_str("table inet fairway-pods {\n");
    for (family, is_v4) in [("ipv4", true), ("ipv6", false)] {
        let of_family = |range: &&IpNet| range.addr().is_ipv4() == is_v4;
        set(
            &mut text,
            &format!("pods-{family}"),
            family,
            own.iter().filter(of_family),
        );
        set(
            &mut text,
            &format!("cluster-{family}"),
            family,
            cluster.iter().filter(of_family),
        );
    }
    text.push_str(
        "  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @pods-ipv4 ip daddr != @cluster-ipv4 ip daddr != 224.0.0.0/4 masquerade
    ip6 saddr @pods-ipv6 ip6 daddr != @cluster-ipv6 ip6 daddr != ff00::/8 masquerade
  }
}
",
    );
    text
}

/// Ranges may contain each other (a node's address in a pod range), which `auto-merge` allows.
fn set<'a>(text: &mut String, name: &str, family: &str, ranges: impl Iterator<Item = &'a IpNet>) {
    let ranges: Vec<String> = ranges.map(ToString::to_string).collect();
    let _ = write!(
        text,
        "  set {name} {{ type {family}_addr; flags interval; auto-merge;"
    );
    if !ranges.is_empty() {
        let _ = write!(text, " elements = {{ {} }};", ranges.join(", "));
    }
    text.push_str(" }\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_is_known_and_may_be_empty() {
        let own = ["10.244.0.0/24".parse().unwrap()];
        let cluster = ["10.244.0.0/24", "198.18.0.2/32"].map(|range| range.parse().unwrap());
        let text = table(&own, &BTreeSet::from(cluster));
        for line in [
            "  set pods-ipv4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.244.0.0/24 }; }",
            "  set cluster-ipv4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.244.0.0/24, 198.18.0.2/32 }; }",
            "  set cluster-ipv6 { type ipv6_addr; flags interval; auto-merge; }",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }
}
