//! clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy: four fields that say one thing.

use super::super::spec::Spec;
use crate::field::{Path, Problem, Problems};
use crate::validation::ip;

/// Problems of the four fields. The allocator asks this first, so on most writes it is the only voice
/// (`ValidateServiceClusterIPsRelatedFields`).
pub(in crate::service) fn cluster_ips(spec: Spec<'_>, old: Option<Spec<'_>>) -> Problems {
    if spec.is_external_name() {
        return Problems::new();
    }
    let mut problems: Problems = both_shapes(spec).into_iter().collect();
    problems.extend(families(spec));
    problems.extend(policy(spec));
    let ips = spec.cluster_ips();
    let faults = texts(&ips, old);
    let stop = !faults.is_empty();
    problems.extend(faults);
    if ips.len() > 2 {
        problems.push(list_problem(spec, "may only hold up to 2 values"));
    }
    if !stop {
        problems.extend(of_both_families(spec));
        problems.extend(matching_families(spec));
    }
    problems
}

fn list_path() -> Path {
    Path::new("spec.clusterIPs")
}

fn list_problem(spec: Spec<'_>, text: &str) -> Problem {
    Problem::invalid(list_path(), spec.value("clusterIPs"), text)
}

fn both_shapes(spec: Spec<'_>) -> Option<Problem> {
    match (spec.cluster_ip(), spec.cluster_ips().first()) {
        ("", None) => None,
        ("", Some(_)) => Some(list_problem(
            spec,
            "must be empty when `clusterIP` is not specified",
        )),
        (_, None) => Some(Problem::required(list_path(), "")),
        (one, Some(first)) if *first == one => None,
        _ => Some(list_problem(spec, "first value must match `clusterIP`")),
    }
}

fn families(spec: Spec<'_>) -> Problems {
    let known = ["IPv4", "IPv6"];
    let families = spec.families();
    let mut problems = Problems::new();
    for (i, family) in families.iter().enumerate() {
        let at = Path::new("spec.ipFamilies").index(i);
        if !known.contains(family) {
            problems.push(Problem::not_supported(at.clone(), *family, &known));
        }
        if families[..i].contains(family) {
            problems.push(Problem::duplicate(at, *family));
        }
    }
    problems
}

fn policy(spec: Spec<'_>) -> Option<Problem> {
    let known = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    let policy = spec.policy().filter(|policy| !known.contains(policy))?;
    let at = Path::new("spec.ipFamilyPolicy");
    Some(Problem::not_supported(at, policy, &known))
}

/// The syntax of each address. `None` may stand first, and then alone.
fn texts(ips: &[&str], old: Option<Spec<'_>>) -> Problems {
    let known = old.map(Spec::cluster_ips).unwrap_or_default();
    let mut problems = Problems::new();
    for (i, address) in ips.iter().enumerate() {
        if i == 0 && *address == "None" {
            if ips.len() > 1 {
                let words = "'None' must be the first and only value";
                problems.push(Problem::invalid(list_path(), ips.to_vec(), words));
            }
        } else {
            problems.extend(ip::legacy_ip(&list_path().index(i), address, &known));
        }
    }
    problems
}

fn of_both_families(spec: Spec<'_>) -> Option<Problem> {
    let ips = spec.cluster_ips();
    let sixes = ips.iter().filter(|address| ip::is_v6(address)).count();
    let mixed = sixes > 0 && sixes < ips.len();
    let words = "may specify no more than one IP for each IP family";
    // With three addresses upstream's question is only whether both families occur.
    (ips.len() > 1 && !mixed).then(|| list_problem(spec, words))
}

fn matching_families(spec: Spec<'_>) -> Problems {
    if spec.is_headless() {
        return Problems::new();
    }
    let ips = spec.cluster_ips();
    let families = spec.families();
    let mut problems = Problems::new();
    for (i, (address, family)) in ips.into_iter().zip(families).enumerate() {
        let fits = match family {
            "IPv4" => !ip::is_v6(address),
            "IPv6" => ip::is_v6(address),
            _ => true,
        };
        if !fits {
            let text = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
            problems.push(Problem::invalid(list_path().index(i), address, text));
        }
    }
    problems
}
