//! Compute resources of containers and of whole pods.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::pod::defaults::requests;
use crate::schema::quantity::Quantity;
use crate::validation::json::{list, pairs, present, text};
use crate::validation::{check, names, resource};

/// `resources` of a container.
pub(super) fn of_container(container: &Value, claims: &[&str], path: &Path) -> Problems {
    requirements(
        &container["resources"],
        resource::container_name,
        claims,
        path,
    )
}

/// `overhead`: limits by another name.
pub(super) fn overhead(spec: &Value, path: &Path) -> Problems {
    let limits = serde_json::json!({"limits": spec["overhead"]});
    requirements(&limits, resource::container_name, &[], path)
}

/// `resources` of the pod as a whole.
pub(super) fn of_pod(spec: &Value, claims: &[&str], path: &Path) -> Problems {
    if !present(spec, "/resources") {
        return Problems::new();
    }
    let at = path.child("resources");
    if spec["os"]["name"] == "windows" {
        return vec![Problem::forbidden(at, "may not be set for a windows pod")];
    }
    let mut problems = Problems::new();
    if present(spec, "/resources/claims") {
        let words = "claims may not be set for Resources at pod-level";
        problems.push(Problem::forbidden(at.child("claims"), words));
    }
    problems.extend(requirements(
        &spec["resources"],
        resource::pod_name,
        claims,
        &at,
    ));
    problems.extend(consistency(spec, &at));
    problems
}

type NameCheck = fn(&str, &Path) -> Problems;

fn requirements(wanted: &Value, name: NameCheck, claims: &[&str], path: &Path) -> Problems {
    let (at_limits, at_requests) = (path.child("limits"), path.child("requests"));
    let (limits, asked) = (pairs(wanted, "/limits"), pairs(wanted, "/requests"));
    let mut problems = Problems::new();
    for (resource, amount) in &limits {
        problems.extend(one(resource, amount, name, &at_limits.key(resource)));
    }
    for (resource, amount) in &asked {
        let at = at_requests.key(resource);
        problems.extend(self::resource(resource, amount, name, &at));
        let limit = limits.iter().find(|(other, _)| other == resource);
        problems.extend(against_limit(
            resource,
            amount,
            limit.map(|(_, limit)| *limit),
            path,
        ));
        problems.extend(huge_pages(resource, amount, &at));
    }
    let named = |test: fn(&str) -> bool| {
        limits
            .iter()
            .chain(&asked)
            .any(|(resource, _)| test(resource))
    };
    if named(resource::is_huge_pages) && !named(|resource| matches!(resource, "cpu" | "memory")) {
        problems.push(Problem::forbidden(
            path.clone(),
            "HugePages require cpu or memory",
        ));
    }
    problems.extend(claim_names(wanted, claims, &path.child("claims")));
    problems
}

fn one(resource: &str, amount: &str, name: NameCheck, at: &Path) -> Problems {
    let mut problems = self::resource(resource, amount, name, at);
    problems.extend(huge_pages(resource, amount, at));
    problems
}

fn resource(resource: &str, amount: &str, name: NameCheck, at: &Path) -> Problems {
    let mut problems = name(resource, at);
    problems.extend(resource::amount(resource, amount, at));
    problems
}

fn huge_pages(resource: &str, amount: &str, at: &Path) -> Problems {
    if !resource::is_huge_pages(resource) || resource::fits_huge_pages(resource, amount) {
        return Problems::new();
    }
    let words = format!("{amount} is not positive integer multiple of {resource}");
    vec![Problem::invalid(at.clone(), amount, words)]
}

/// What cannot be overcommitted has to be requested as it is limited.
fn against_limit(resource: &str, asked: &str, limit: Option<&str>, path: &Path) -> Problems {
    let elastic = resource::may_be_overcommitted(resource);
    let Some(limit) = limit else {
        let words = "Limit must be set for non overcommitable resources";
        let problem = Problem::required(path.child("limits"), words);
        return (!elastic).then_some(problem).into_iter().collect();
    };
    let relation = match resource::compare(asked, limit) {
        std::cmp::Ordering::Equal => return Problems::new(),
        _ if !elastic => "must be equal to",
        std::cmp::Ordering::Greater => "must be less than or equal to",
        std::cmp::Ordering::Less => return Problems::new(),
    };
    let words = format!("{relation} {resource} limit of {limit}");
    vec![Problem::invalid(path.child("requests"), asked, words)]
}

fn claim_names(wanted: &Value, known: &[&str], path: &Path) -> Problems {
    let mut seen: Vec<String> = Vec::new();
    let mut problems = Problems::new();
    for (i, claim) in list(wanted, "/claims").iter().enumerate() {
        let (at, name) = (path.index(i), text(claim, "/name"));
        if name.is_empty() {
            problems.push(Problem::required(at, ""));
            continue;
        }
        problems.extend(claim_once(claim, name, &mut seen, &at));
        if !known.contains(&name) {
            problems.push(unknown_claim(name, known, at));
        }
    }
    problems
}

fn claim_once(claim: &Value, name: &str, seen: &mut Vec<String>, at: &Path) -> Problems {
    if seen.iter().any(|other| other == name) {
        return vec![Problem::duplicate(at.clone(), name)];
    }
    let mut problems = Problems::new();
    let request = text(claim, "/request");
    let mut key = name.to_owned();
    if !request.is_empty() {
        problems.extend(check::dns_label(request, &at.child("request")));
        key = format!("{name}/{request}");
    }
    if seen.contains(&key) {
        problems.push(Problem::duplicate(at.clone(), key.clone()));
    } else if request.is_empty() {
        let parts = seen
            .iter()
            .filter(|other| other.split('/').next() == Some(name));
        problems.extend(parts.map(|_| Problem::duplicate(at.clone(), name)));
    }
    if !seen.contains(&key) {
        seen.push(key);
    }
    problems
}

fn unknown_claim(name: &str, known: &[&str], at: Path) -> Problem {
    let mut sorted = known.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let detail = match sorted.as_slice() {
        [] => "must be one of the names in pod.spec.resourceClaims which is empty".to_owned(),
        names => format!(
            "must be one of the names in pod.spec.resourceClaims: {}",
            names.join(", ")
        ),
    };
    Problem {
        detail,
        ..Problem::not_found(at, name)
    }
}

/// `resourceClaims` of the pod.
pub(super) fn claims(spec: &Value, meta: Option<&Value>, path: &Path) -> Problems {
    let is_static = meta.is_some_and(|meta| present(meta, super::annotations::MIRROR_POINTER));
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Problems::new();
    for (i, claim) in list(spec, "/resourceClaims").iter().enumerate() {
        if is_static {
            let words = "static pods do not support resource claims";
            problems.push(Problem::forbidden(Path::nameless(), words));
            continue;
        }
        let (at, name) = (path.index(i), text(claim, "/name"));
        match name {
            "" => problems.push(Problem::required(at.child("name"), "")),
            _ if seen.contains(&name) => problems.push(Problem::duplicate(at.child("name"), name)),
            _ => {
                problems.extend(check::dns_label(name, &at.child("name")));
                seen.push(name);
            }
        }
        problems.extend(claim_source(claim, &at));
    }
    problems
}

fn claim_source(claim: &Value, path: &Path) -> Problems {
    let members = ["resourceClaimName", "resourceClaimTemplateName"];
    let set = members.map(|member| claim[member].as_str());
    let wrong = match set {
        [Some(_), Some(_)] => Some(
            "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        ),
        [None, None] => {
            Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        }
        _ => None,
    };
    let shown = || super::shown("PodResourceClaim", claim);
    let mut problems: Problems = wrong
        .map(|words| Problem::invalid_as(path.clone(), shown(), words))
        .into_iter()
        .collect();
    for (member, value) in members.into_iter().zip(set) {
        if let Some(value) = value {
            let found = names::dns_subdomain(value);
            problems.extend(crate::validation::labels::invalid(
                &path.child(member),
                value,
                found,
            ));
        }
    }
    problems
}

/// What the containers ask for together fits into what the pod asks for, and each limit into the pod's.
fn consistency(spec: &Value, path: &Path) -> Problems {
    let mut problems = Problems::new();
    for (resource, sum) in requests(spec) {
        let Some(whole) = spec["resources"]["requests"][&resource].as_str() else {
            continue;
        };
        if resource::compare(&sum, whole).is_gt() {
            let words =
                format!("must be greater than or equal to aggregate container requests of {sum}");
            problems.push(Problem::invalid(
                path.child("requests").key(&resource),
                whole,
                words,
            ));
        }
    }
    for (resource, sum) in limits(spec) {
        let Some(whole) = spec["resources"]["limits"][&resource].as_str() else {
            continue;
        };
        if resource::is_huge_pages(&resource) && resource::compare(&sum, whole).is_gt() {
            let words =
                format!("must be greater than or equal to aggregate container limits of {sum}");
            problems.push(Problem::invalid(
                path.child("limits").key(&resource),
                whole,
                words,
            ));
        }
    }
    for (i, container) in list(spec, "/containers").iter().enumerate() {
        for (resource, limit) in pairs(container, "/resources/limits") {
            let Some(whole) = spec["resources"]["limits"][resource].as_str() else {
                continue;
            };
            if resource::compare(limit, whole).is_gt() {
                let at = path
                    .child("containers")
                    .index(i)
                    .key(resource)
                    .child("limits");
                let words = format!("must be less than or equal to pod limits of {whole}");
                problems.push(Problem::invalid(at, limit, words));
            }
        }
    }
    problems
}

fn limits(spec: &Value) -> BTreeMap<String, String> {
    let sums = crate::pod::defaults::aggregate(spec, "limits").into_iter();
    sums.map(|(name, sum): (String, Quantity)| (name, sum.canonical()))
        .collect()
}
