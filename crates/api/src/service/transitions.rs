//! What an update keeps and drops without being told (`patchAllocatedValues`, `normalizeClusterIPs`,
//! `dropTypeDependentFields`).
//!
//! A Service is a union whose discriminator is `type`. A client who changes the type need not clear what no
//! longer applies, and one who leaves out what the server once filled in keeps it. Whatever the client
//! changed in the same write is taken at its word, and validated.

use std::collections::HashMap;

use serde_json::Value;

use super::defaults::ports_mut;
use super::spec::Spec;
use crate::validation::json::{integer, remove, set, text};

/// Puts back the addresses and ports that the client left out and the server had given.
pub fn carry_over(new: &mut Value, old: &Value) {
    let before = Spec::of(old);
    if !before.is_external_name() && !Spec::of(new).is_external_name() {
        if Spec::of(new).cluster_ip().is_empty() && !before.cluster_ip().is_empty() {
            set(new, "/spec", "clusterIP", before.cluster_ip());
        }
        if Spec::of(new).cluster_ips().is_empty() && !before.cluster_ips().is_empty() {
            set(new, "/spec", "clusterIPs", before.value("clusterIPs"));
        }
    }
    if keeps_node_ports(before) && keeps_node_ports(Spec::of(new)) {
        carry_over_node_ports(new, before);
    }
    let checked = before.needs_health_check() && Spec::of(new).needs_health_check();
    if checked && Spec::of(new).health_check_port() == 0 && before.health_check_port() != 0 {
        set(
            new,
            "/spec",
            "healthCheckNodePort",
            before.health_check_port(),
        );
    }
}

fn keeps_node_ports(spec: Spec<'_>) -> bool {
    spec.kind() == "NodePort"
        || (spec.is_load_balancer() && spec.allocate_node_ports().unwrap_or(true))
}

/// Node ports come back by the port's name, unless the number is already used by another port.
fn carry_over_node_ports(new: &mut Value, old: Spec<'_>) {
    let asked = Spec::of(new).node_ports();
    let by_name: HashMap<&str, i64> = old
        .ports()
        .iter()
        .map(|port| (text(port, "/name"), integer(port, "/nodePort")))
        .collect();
    for port in ports_mut(new) {
        let known = by_name.get(text(port, "/name")).copied().unwrap_or(0);
        if integer(port, "/nodePort") == 0 && known != 0 && !asked.contains(&known) {
            port["nodePort"] = known.into();
        }
    }
}

/// Makes `clusterIP` and `clusterIPs` agree where the client spoke of one of them only.
pub fn align_cluster_ips(new: &mut Value, old: Option<&Value>) {
    let spec = Spec::of(new);
    let one = spec.cluster_ip().to_owned();
    let Some(before) = old.map(Spec::of) else {
        if !one.is_empty() && spec.cluster_ips().is_empty() {
            set(new, "/spec", "clusterIPs", vec![one]);
        }
        return;
    };
    let same_one = before.cluster_ip() == one;
    if spec.cluster_ips().is_empty() && !before.cluster_ips().is_empty() && same_one {
        set(new, "/spec", "clusterIPs", before.value("clusterIPs"));
    }
    let same_list = before.cluster_ips() == Spec::of(new).cluster_ips();
    if same_one || !same_list {
        return;
    }
    if one.is_empty() {
        remove(new, "/spec", "clusterIPs");
    } else {
        set(new, "/spec", "clusterIPs", vec![one]);
    }
}

/// Clears what the new type does not use, where the client did not touch it.
pub(super) fn drop_unused(new: &mut Value, old: &Value) {
    let before = Spec::of(old);
    drop_addresses(new, before);
    drop_node_ports(new, before);
    let spec = Spec::of(new);
    let was_checked = before.needs_health_check() && !spec.needs_health_check();
    let was_balanced = before.is_load_balancer() && !spec.is_load_balancer();
    let was_open = before.is_externally_accessible() && !spec.is_externally_accessible();
    let gone = [
        (was_checked, "healthCheckNodePort"),
        (was_balanced, "allocateLoadBalancerNodePorts"),
        (was_balanced, "loadBalancerClass"),
        (was_open, "externalTrafficPolicy"),
    ];
    for (unused, member) in gone {
        if unused && Spec::of(new).value(member) == before.value(member) {
            remove(new, "/spec", member);
        }
    }
    if !Spec::of(new).is_load_balancer() {
        set(new, "/status", "loadBalancer", serde_json::json!({}));
    }
}

fn drop_addresses(new: &mut Value, before: Spec<'_>) {
    if before.is_external_name() || !Spec::of(new).is_external_name() {
        return;
    }
    let spec = Spec::of(new);
    let same = |member: &str| spec.value(member) == before.value(member);
    let addresses = same("clusterIP") && same("clusterIPs");
    let gone = [
        (addresses, "clusterIP"),
        (addresses, "clusterIPs"),
        (same("ipFamilies"), "ipFamilies"),
        (same("ipFamilyPolicy"), "ipFamilyPolicy"),
    ];
    for (unchanged, member) in gone {
        if unchanged {
            remove(new, "/spec", member);
        }
    }
}

fn drop_node_ports(new: &mut Value, before: Spec<'_>) {
    let spec = Spec::of(new);
    let known = before.node_ports();
    let nothing_new = spec.node_ports().iter().all(|port| known.contains(port));
    if before.may_have_node_ports() && !spec.may_have_node_ports() && nothing_new {
        for port in ports_mut(new) {
            remove(port, "", "nodePort");
        }
    }
}

#[cfg(test)]
mod tests;
