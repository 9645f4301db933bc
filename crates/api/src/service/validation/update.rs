//! What may not change: addresses and families once given, the load balancer's class, the health-check port.

use serde_json::Value;

use super::super::spec::Spec;
use super::traffic;
use crate::field::{Path, Problem, Problems};

const FROZEN: &str = "may not change once set";

/// Problems of the change itself, in Kubernetes' order.
pub(super) fn problems(new: &Value, old: &Value) -> Problems {
    let (new, old) = (Spec::of(new), Spec::of(old));
    let mut problems = addresses(new, old);
    problems.extend(families(new, old));
    problems.extend(class(new, old));
    problems.extend(traffic::class(new));
    problems.extend(health_check_port(new, old));
    problems
}

/// Addresses may be added and released behind the first one; leaving or entering ExternalName is free.
fn addresses(new: Spec<'_>, old: Spec<'_>) -> Problems {
    let free = new.is_external_name() || old.is_external_name();
    if free || (new.is_headless() && old.is_headless()) {
        return Problems::new();
    }
    let path = Path::new("spec.clusterIPs");
    let frozen = |i| Problem::invalid(path.index(i), new.value("clusterIPs"), FROZEN);
    let (now, before) = (new.cluster_ips(), old.cluster_ips());
    if now.len() == before.len() {
        let pairs = now.iter().zip(&before).enumerate();
        let changed = pairs.filter(|(_, (now, before))| now != before);
        return changed.map(|(i, _)| frozen(i)).collect();
    }
    let mut problems = Problems::new();
    let (first, primary) = (now.first(), before.first());
    if now.is_empty() {
        problems.push(Problem::invalid(
            path.index(0),
            new.value("clusterIPs"),
            "primary clusterIP can not be unset",
        ));
    } else if primary.is_some() && first != primary {
        problems.push(frozen(0));
    }
    if now.len() < before.len() && now.len() == 1 {
        problems.extend(released(new, "secondary clusterIP"));
    }
    problems
}

/// As addresses; but a headless Service may rearrange its families.
fn families(new: Spec<'_>, old: Spec<'_>) -> Problems {
    let free = new.is_external_name() || old.is_external_name();
    if free || new.is_headless() || old.is_headless() {
        return Problems::new();
    }
    let at = Path::new("spec.ipFamilies").index(0);
    let (now, before) = (new.families(), old.families());
    if now.len() == before.len() {
        let frozen = || Problem::invalid(at.clone(), new.value("ipFamilies"), FROZEN);
        let changed = now
            .iter()
            .zip(&before)
            .filter(|(now, before)| now != before);
        return changed.map(|_| frozen()).collect();
    }
    let mut problems = Problems::new();
    if now.len() < before.len() && new.cluster_ips().is_empty() {
        problems.push(Problem::invalid(
            at.clone(),
            new.value("ipFamilies"),
            "primary ipFamily can not be unset",
        ));
    }
    if !now.is_empty() && !before.is_empty() && now[0] != before[0] {
        // The value shown is that of clusterIPs upstream.
        problems.push(Problem::invalid(at, new.value("clusterIPs"), FROZEN));
    }
    if now.len() < before.len() && now.len() == 1 {
        problems.extend(released(new, "secondary ipFamily"));
    }
    problems
}

fn released(new: Spec<'_>, what: &str) -> Option<Problem> {
    if new.policy_is("SingleStack") {
        return None;
    }
    let text = format!("must be set to 'SingleStack' when releasing the {what}");
    let at = Path::new("spec.ipFamilyPolicy");
    Some(Problem::invalid(at, new.value("ipFamilyPolicy"), text))
}

fn class(new: Spec<'_>, old: Spec<'_>) -> Option<Problem> {
    let member = "loadBalancerClass";
    let both = new.is_load_balancer() && old.is_load_balancer();
    let changed = new.optional(member) != old.optional(member);
    let at = Path::new("spec.loadBalancerClass");
    (both && changed).then(|| Problem::invalid(at, new.value(member), FROZEN))
}

fn health_check_port(new: Spec<'_>, old: Spec<'_>) -> Option<Problem> {
    let stays = new.needs_health_check() && old.needs_health_check();
    let changed = new.health_check_port() != old.health_check_port();
    let at = Path::new("spec.healthCheckNodePort");
    (stays && changed).then(|| Problem::forbidden(at, "field is immutable"))
}
