//! Names and amounts of resources (`apis/core/helper`): what a container may ask for, and how much of it.

use std::cmp::Ordering;

use super::{labels, names};
use crate::field::{Path, Problem, Problems};
use crate::schema::quantity::Quantity;

const HUGE_PAGES: &str = "hugepages-";

/// Resources of containers, quotas and the like that have no prefix.
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// Those of them that are counted.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Pages of one size.
pub fn is_huge_pages(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// In Kubernetes' own namespace, said or meant.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether a limit above the request makes sense.
pub fn may_be_overcommitted(name: &str) -> bool {
    is_native(name) && !is_huge_pages(name)
}

/// The name of a resource.
pub fn name(name: &str, at: &Path) -> Problems {
    let problems = labels::invalid(at, name, names::qualified_name(name));
    let pages = is_huge_pages(name) || name.starts_with("requests.hugepages-");
    if problems.is_empty() && !name.contains('/') && !pages && !STANDARD.contains(&name) {
        let words = "must be a standard resource type or fully qualified";
        return vec![Problem::invalid(at.clone(), name, words)];
    }
    problems
}

/// The name of a resource that a container can have.
pub fn container_name(name: &str, at: &Path) -> Problems {
    let mut problems = self::name(name, at);
    let words = if !name.contains('/') {
        let known = matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_pages(name);
        (!known).then_some("must be a standard resource for containers")
    } else {
        let known = is_native(name) || is_extended(name);
        (!known).then_some("doesn't follow extended resource name standard")
    };
    problems.extend(words.map(|words| Problem::invalid(at.clone(), name, words)));
    problems
}

/// The name of a resource that a pod as a whole can have.
pub fn pod_name(name: &str, at: &Path) -> Problems {
    let problems = self::name(name, at);
    if problems.is_empty() && !matches!(name, "cpu" | "memory") && !is_huge_pages(name) {
        return vec![Problem::not_supported(
            at.clone(),
            name,
            &["cpu", "hugepages-", "memory"],
        )];
    }
    problems
}

/// How much of a resource: not less than nothing, and whole where it is counted.
pub fn amount(name: &str, amount: &str, at: &Path) -> Problems {
    let nano = nano(amount);
    let mut problems = Problems::new();
    if nano < 0 {
        problems.push(Problem::invalid(at.clone(), amount, super::check::NEGATIVE));
    }
    let counted = COUNTED.contains(&name) || is_extended(name);
    if counted && up_to_milli(nano) % 1_000 != 0 {
        problems.push(Problem::invalid(at.clone(), amount, "must be an integer"));
    }
    problems
}

/// Whether an amount of memory is whole pages.
pub fn fits_huge_pages(name: &str, amount: &str) -> bool {
    let size = name.strip_prefix(HUGE_PAGES).map_or(0, nano);
    if size <= 0 || size % 1_000_000_000 != 0 {
        return false;
    }
    let whole =
        nano(amount).div_euclid(1_000_000_000) + i128::from(nano(amount) % 1_000_000_000 != 0);
    whole % (size / 1_000_000_000) == 0
}

/// Which of two amounts is more.
pub fn compare(one: &str, other: &str) -> Ordering {
    nano(one).cmp(&nano(other))
}

fn nano(amount: &str) -> i128 {
    Quantity::parse(amount).map_or(0, |quantity| quantity.nano())
}

fn up_to_milli(nano: i128) -> i128 {
    nano.div_euclid(1_000_000) + i128::from(nano.rem_euclid(1_000_000) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(problems: &Problems) -> Vec<&str> {
        problems
            .iter()
            .map(|problem| problem.detail.as_str())
            .collect()
    }

    #[test]
    fn a_container_has_known_resources_and_prefixed_ones() {
        let at = Path::new("f");
        for good in ["cpu", "hugepages-2Mi", "example.com/gpu", "kubernetes.io/x"] {
            assert!(container_name(good, &at).is_empty(), "{good}");
        }
        let both = [
            "must be a standard resource type or fully qualified",
            "must be a standard resource for containers",
        ];
        assert_eq!(complaints(&container_name("gpu", &at)), both);
        assert_eq!(complaints(&container_name("pods", &at)), both[1..]);
        let found = container_name("requests.example.com/gpu", &at);
        assert_eq!(
            complaints(&found),
            ["doesn't follow extended resource name standard"]
        );
    }

    #[test]
    fn amounts_are_not_negative_and_counted_ones_whole() {
        let at = Path::new("f");
        assert!(amount("cpu", "100m", &at).is_empty());
        assert_eq!(
            complaints(&amount("cpu", "-1", &at)),
            [super::super::check::NEGATIVE]
        );
        assert_eq!(
            complaints(&amount("example.com/gpu", "1500m", &at)),
            ["must be an integer"]
        );
    }

    #[test]
    fn huge_pages_come_whole() {
        assert!(fits_huge_pages("hugepages-2Mi", "4Mi"));
        assert!(!fits_huge_pages("hugepages-2Mi", "3Mi"));
        assert!(!fits_huge_pages("hugepages-x", "4Mi"));
    }
}
