//! What a ResourceQuota may say (`ValidateResourceQuota`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field::{Path, Problem, Problems};
use crate::schema::quantity::Quantity;
use crate::validation::json::{list, text, texts};
use crate::validation::names;

/// Names that a quota may give without a domain.
const QUOTA_NAMES: [&str; 19] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Of which these come in whole numbers.
const WHOLE_NAMES: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Of which these may be limited for some pods only.
const COMPUTE_NAMES: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

/// Scopes that exclude each other.
const OPPOSITES: [[&str; 2]; 2] = [
    ["BestEffort", "NotBestEffort"],
    ["NotTerminating", "Terminating"],
];

/// Problems of `spec`.
pub(super) fn spec(object: &Value) -> Problems {
    let at = Path::new("spec");
    let mut problems = amounts(&object["spec"]["hard"], &at.child("hard"));
    problems.extend(scopes(&object["spec"], &at));
    problems.extend(scope_selector(&object["spec"], &at));
    problems
}

/// Problems of `status`.
pub(super) fn status(object: &Value) -> Problems {
    let at = Path::new("status");
    let mut problems = amounts(&object["status"]["hard"], &at.child("hard"));
    problems.extend(amounts(&object["status"]["used"], &at.child("used")));
    problems
}

/// The scopes may never change.
pub(super) fn scopes_are_kept(new: &Value, old: &Value) -> Problems {
    let set = |object| -> BTreeSet<String> {
        texts(object, "/spec/scopes")
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    if set(new) == set(old) {
        return Problems::new();
    }
    let at = Path::new("spec.scopes");
    vec![Problem::invalid(
        at,
        new["spec"]["scopes"].clone(),
        "field is immutable",
    )]
}

fn amounts(hard: &Value, at: &Path) -> Problems {
    let mut names: Vec<_> = hard.as_object().into_iter().flatten().collect();
    names.sort_unstable_by_key(|(name, _)| name.as_str());
    let mut problems = Problems::new();
    for (name, amount) in names {
        let at = at.key(name);
        problems.extend(resource_name(name, &at));
        problems.extend(quantity(name, amount, &at));
    }
    problems
}

fn is_quota_name(name: &str) -> bool {
    let pages = |name: &str| name.starts_with("hugepages-");
    QUOTA_NAMES.contains(&name) || pages(name.strip_prefix("requests.").unwrap_or(name))
}

fn resource_name(name: &str, at: &Path) -> Problems {
    let complaints = names::qualified_name(name);
    let invalid = |why: String| Problem::invalid(at.clone(), name, why);
    let mut problems: Problems = complaints.into_iter().map(invalid).collect();
    if name.contains('/') || is_quota_name(name) {
        return problems;
    }
    if problems.is_empty() && name != "storage" {
        let words = "must be a standard resource type or fully qualified";
        problems.push(invalid(words.to_owned()));
    }
    problems.push(invalid("must be a standard resource for quota".to_owned()));
    problems
}

fn quantity(name: &str, amount: &Value, at: &Path) -> Problems {
    let Some(parsed) = amount.as_str().and_then(|text| Quantity::parse(text).ok()) else {
        return Problems::new();
    };
    let mut problems = Problems::new();
    if parsed.nano() < 0 {
        let words = "must be greater than or equal to 0";
        problems.push(Problem::invalid(at.clone(), amount.clone(), words));
    }
    let extended = name.contains('/')
        && !name.contains("kubernetes.io/")
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty();
    let whole = WHOLE_NAMES.contains(&name) || extended;
    if whole && parsed.rounded_up() != parsed {
        problems.push(Problem::invalid(
            at.clone(),
            amount.clone(),
            "must be an integer",
        ));
    }
    problems
}

/// Whether a scope may limit a resource.
fn fits(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        scope if SCOPES.contains(&scope) => name == "pods" || COMPUTE_NAMES.contains(&name),
        _ => true,
    }
}

/// The standard names that a quota limits, in order.
fn limited(spec: &Value) -> Vec<&str> {
    let hard = spec["hard"].as_object().into_iter().flatten();
    let mut names: Vec<&str> = hard.map(|(name, _)| name.as_str()).collect();
    names.retain(|name| is_quota_name(name));
    names.sort_unstable();
    names
}

fn scopes(spec: &Value, at: &Path) -> Problems {
    let (at, value) = (at.child("scopes"), &spec["scopes"]);
    let scopes = texts(spec, "/scopes");
    let mut problems = Problems::new();
    let mut complain =
        |words: &str| problems.push(Problem::invalid(at.clone(), value.clone(), words));
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            complain("unsupported scope");
        }
        for _ in limited(spec).iter().filter(|name| !fits(scope, name)) {
            complain("unsupported scope applied to resource");
        }
    }
    for _ in conflicts(&scopes) {
        complain("conflicting scopes");
    }
    problems
}

fn conflicts(scopes: &[&str]) -> Vec<[&'static str; 2]> {
    let both = |pair: &[&str; 2]| pair.iter().all(|scope| scopes.contains(scope));
    OPPOSITES.into_iter().filter(both).collect()
}

fn scope_selector(spec: &Value, at: &Path) -> Problems {
    let at = at.child("scopeSelector").child("matchExpressions");
    let rules = list(spec, "/scopeSelector/matchExpressions");
    let mut problems = Problems::new();
    for rule in rules {
        let scope = text(rule, "/scopeName");
        if !SCOPES.contains(&scope) {
            let words = "unsupported scope";
            problems.push(Problem::invalid(at.child("scopeName"), scope, words));
        }
        for _ in limited(spec).iter().filter(|name| !fits(scope, name)) {
            let words = "unsupported scope applied to resource";
            let value = spec["scopeSelector"].clone();
            problems.push(Problem::invalid(at.clone(), value, words));
        }
        problems.extend(operator(rule, &at));
    }
    let named: Vec<&str> = rules.iter().map(|rule| text(rule, "/scopeName")).collect();
    for _ in conflicts(&named) {
        let scopes = spec.get("scopes").cloned().unwrap_or(json!(null));
        problems.push(Problem::invalid(at.clone(), scopes, "conflicting scopes"));
    }
    problems
}

fn operator(rule: &Value, at: &Path) -> Problems {
    let (scope, operator) = (text(rule, "/scopeName"), text(rule, "/operator"));
    let only_exists =
        SCOPES.contains(&scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass");
    let mut problems = Problems::new();
    if only_exists && operator != "Exists" {
        let words = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
             ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
             ResourceQuotaScopeCrossNamespacePodAffinity";
        problems.push(Problem::invalid(at.child("operator"), operator, words));
    }
    let values = list(rule, "/values");
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let words =
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            problems.push(Problem::required(at.child("values"), words));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let words =
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            problems.push(Problem::invalid(
                at.child("values"),
                rule["values"].clone(),
                words,
            ));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            let words = "not a valid selector operator";
            problems.push(Problem::invalid(at.child("operator"), other, words));
        }
    }
    problems
}
