//! Which IP families a Service gets in this cluster (`initIPFamilyFields`, KEP-563).
//!
//! Policy and families are settled together with the addresses, not as defaults, because they depend on what
//! the cluster has and, on update, on what the Service had.

use serde_json::Value;

use super::spec::Spec;
use super::validation::addresses;
use crate::field::{Path, Problem, Problems};
use crate::validation::ip;
use crate::validation::json::set;

/// An IP family, by the name the API gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `IPv4`.
    V4,
    /// `IPv6`.
    V6,
}

impl Family {
    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The family with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::V4, Self::V6]
            .into_iter()
            .find(|family| family.name() == name)
    }

    /// The family of an address' text.
    pub fn of(address: &str) -> Self {
        if ip::is_v6(address) {
            Self::V6
        } else {
            Self::V4
        }
    }

    /// The one that this is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

/// Settles `ipFamilyPolicy` and `ipFamilies`; on update also trims what a change to SingleStack releases.
///
/// `cluster` holds the families the cluster has, the default one first.
///
/// # Errors
/// What the client asked for and cannot have. The write ends with these problems alone.
pub fn settle(
    service: &mut Value,
    old: Option<&Value>,
    cluster: &[Family],
) -> Result<(), Problems> {
    if Spec::of(service).is_external_name() || keeps_both(service, old) {
        return Ok(());
    }
    settle_policy(service, old.map(Spec::of));
    whole(addresses::cluster_ips(Spec::of(service), old.map(Spec::of)))?;
    let mut problems = old
        .map(|old| shrink(service, Spec::of(old)))
        .unwrap_or_default();
    problems.extend(single_with_two(Spec::of(service)));
    problems.extend(infer_families(service, cluster));
    whole(problems)?;
    if Spec::of(service).is_headless_without_selector() {
        complete(service, cluster[0], true);
        return Ok(());
    }
    whole(not_in_cluster(Spec::of(service), cluster))?;
    complete(service, cluster[0], cluster.len() == 2);
    Ok(())
}

/// Fills in the families of a Service that has addresses and no families (`defaultOnReadIPFamilies`).
pub(super) fn infer_missing(service: &mut Value) {
    let spec = Spec::of(service);
    let ips = spec.cluster_ips();
    if !spec.families().is_empty() || ips.is_empty() || ips[0] == "None" {
        return;
    }
    let of = |address: &&str| Family::of(address).name();
    let families: Vec<&str> = ips.iter().map(of).collect();
    let policy = if families.len() == 1 {
        "SingleStack"
    } else {
        "RequireDualStack"
    };
    set(service, "/spec", "ipFamilies", families);
    set(service, "/spec", "ipFamilyPolicy", policy);
}

fn whole(problems: Problems) -> Result<(), Problems> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// A PreferDualStack Service that nobody touched stays as it is, whatever the cluster has become.
pub(super) fn keeps_both(service: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old.map(Spec::of) else {
        return false;
    };
    let new = Spec::of(service);
    let prefers = |spec: Spec<'_>| {
        spec.policy()
            .is_none_or(|policy| policy == "PreferDualStack")
    };
    new.policy().is_some()
        && old.kind() == new.kind()
        && matches!(new.kind(), "ClusterIP" | "NodePort" | "LoadBalancer")
        && prefers(new)
        && prefers(old)
        && old.cluster_ips() == new.cluster_ips()
        && old.families() == new.families()
}

fn settle_policy(service: &mut Value, old: Option<Spec<'_>>) {
    let spec = Spec::of(service);
    if spec.policy().is_some() {
        return;
    }
    let policy = match old.and_then(Spec::policy) {
        Some(policy) => policy,
        None if spec.is_headless_without_selector() => "RequireDualStack",
        None => "SingleStack",
    };
    set(service, "/spec", "ipFamilyPolicy", policy);
}

fn policy_problem(spec: Spec<'_>, text: &str) -> Problem {
    let at = Path::new("spec.ipFamilyPolicy");
    Problem::invalid(at, spec.value("ipFamilyPolicy"), text)
}

/// On update: SingleStack trims what is unchanged; without it, shorter lists are a mistake.
fn shrink(service: &mut Value, old: Spec<'_>) -> Problems {
    let spec = Spec::of(service);
    let (ips, families) = (spec.cluster_ips(), spec.families());
    if spec.policy_is("SingleStack") {
        let trimmed = [
            ("clusterIPs", ips == old.cluster_ips()),
            ("ipFamilies", families == old.families()),
        ];
        for (member, unchanged) in trimmed {
            let list = service["spec"]
                .get_mut(member)
                .and_then(Value::as_array_mut);
            if let Some(list) = list.filter(|_| unchanged) {
                list.truncate(1);
            }
        }
        return Problems::new();
    }
    let reduced = |new: usize, old: usize| new != 0 && new < old;
    let cases = [
        (reduced(ips.len(), old.cluster_ips().len()), "cluster IP"),
        (reduced(families.len(), old.families().len()), "IP family"),
    ];
    cases
        .into_iter()
        .filter(|(reduced, _)| *reduced)
        .map(|(_, what)| {
            let text = format!("must be 'SingleStack' to release the secondary {what}");
            policy_problem(spec, &text)
        })
        .collect()
}

fn single_with_two(spec: Spec<'_>) -> Problems {
    if !spec.policy_is("SingleStack") {
        return Problems::new();
    }
    let cases = [
        (spec.cluster_ips().len(), "cluster IPs"),
        (spec.families().len(), "IP families"),
    ];
    cases
        .into_iter()
        .filter(|(count, _)| *count == 2)
        .map(|(_, what)| {
            let text = format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            );
            policy_problem(spec, &text)
        })
        .collect()
}

/// Addresses say their families, where the client did not.
fn infer_families(service: &mut Value, cluster: &[Family]) -> Problems {
    let spec = Spec::of(service);
    let known = spec.families().len();
    let ips = spec.cluster_ips();
    if ips.first() == Some(&"None") {
        return Problems::new();
    }
    let mut families: Vec<String> = spec.families().into_iter().map(str::to_owned).collect();
    let mut problems = Problems::new();
    for (i, address) in ips.iter().enumerate().skip(known) {
        let family = Family::of(address);
        if cluster.contains(&family) {
            families.push(family.name().to_owned());
        } else {
            let text = format!("{} is not configured on this cluster", family.name());
            let at = Path::new("spec.clusterIPs").index(i);
            problems.push(Problem::invalid(at, spec.value("clusterIPs"), text));
        }
    }
    if families.len() > known {
        set(service, "/spec", "ipFamilies", families);
    }
    problems
}

fn not_in_cluster(spec: Spec<'_>, cluster: &[Family]) -> Problems {
    let mut problems = Problems::new();
    if spec.policy_is("RequireDualStack") && cluster.len() < 2 {
        let words = "this cluster is not configured for dual-stack services";
        problems.push(policy_problem(spec, words));
    }
    for (i, family) in spec.families().into_iter().enumerate() {
        if Family::named(family).is_none_or(|family| !cluster.contains(&family)) {
            let at = Path::new("spec.ipFamilies").index(i);
            problems.push(Problem::invalid(
                at,
                family,
                "not configured on this cluster",
            ));
        }
    }
    problems
}

/// The default family where there is none, and the other one where the policy wants it and it is to be had.
fn complete(service: &mut Value, default: Family, both: bool) {
    let spec = Spec::of(service);
    let mut families: Vec<String> = spec.families().into_iter().map(str::to_owned).collect();
    if families.is_empty() {
        families.push(default.name().to_owned());
    }
    if both && families.len() == 1 && !spec.policy_is("SingleStack") {
        let other = Family::named(&families[0]).map(Family::other);
        families.extend(other.map(|family| family.name().to_owned()));
    }
    set(service, "/spec", "ipFamilies", families);
}

#[cfg(test)]
mod tests;
