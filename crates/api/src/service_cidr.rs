//! ServiceCIDR: a range that cluster IPs come from (KEP-1880).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::age;
use crate::field::{Path, Problem, Problems};
use crate::printer::{NAME, column};
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{text, texts};
use crate::validation::{ip, metadata, names};

/// The strategy of `networking.k8s.io/v1 ServiceCIDR`.
pub struct ServiceCidr;

/// The ranges of a ServiceCIDR.
pub fn cidrs(object: &Value) -> Vec<&str> {
    texts(object, "/spec/cidrs")
}

/// Whether new addresses may come from it: it is not going away, and no condition says otherwise.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut ready = conditions
        .into_iter()
        .flatten()
        .filter(|c| c["type"] == "Ready");
    let said = ready
        .next()
        .is_none_or(|condition| condition["status"] == "True");
    said && object["metadata"]["deletionTimestamp"].is_null()
}

const COLUMNS: &[Column] = &[NAME, column("CIDRs", "string"), column("Age", "string")];

impl Strategy for ServiceCidr {
    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({});
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, false, names::dns_subdomain_name);
        problems.extend(ranges(object));
        problems
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        match part {
            Part::Main => new["status"] = old["status"].clone(),
            Part::Sub(_) => {
                new["spec"] = old["spec"].clone();
                keep_metadata(new, old);
            }
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        if part == Part::Main {
            problems.extend(changed_ranges(new, old));
        }
        problems
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            Part::Sub(_) => &["metadata", "spec"],
        }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            text(object, "/metadata/name").into(),
            cidrs(object).join(",").into(),
            age::of(object, now),
        ]
    }
}

/// A status write leaves the metadata as it was, but for what the machinery writes itself.
fn keep_metadata(new: &mut Value, old: &Value) {
    for member in ["labels", "annotations", "finalizers", "ownerReferences"] {
        match old["metadata"].get(member) {
            Some(value) => new["metadata"][member] = value.clone(),
            None => {
                crate::validation::json::remove(new, "/metadata", member);
            }
        }
    }
}

fn path() -> Path {
    Path::new("spec.cidrs")
}

fn ranges(object: &Value) -> Problems {
    let cidrs = cidrs(object);
    if cidrs.is_empty() {
        return vec![Problem::required(path(), "at least one CIDR required")];
    }
    if cidrs.len() > 2 {
        let shown = format!("{{\"CIDRs\":{}}}", Value::from(cidrs));
        let words = "may only hold up to 2 values";
        return vec![Problem::invalid_as(path(), shown, words)];
    }
    let each = cidrs.iter().enumerate();
    let mut problems: Problems = each
        .flat_map(|(i, cidr)| ip::cidr(&path().index(i), cidr))
        .collect();
    let family = |cidr: &str| ip::parse_cidr_sloppy(cidr).map(|(address, _)| address.is_ipv6());
    if let [first, second] = cidrs.as_slice()
        && family(first).is_some()
        && family(first) == family(second)
    {
        let words = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        problems.push(Problem::invalid(path(), cidrs, words));
    }
    problems
}

/// Nothing may change, except that a second family is added.
fn changed_ranges(new: &Value, old: &Value) -> Problems {
    const FROZEN: &str = "field is immutable";
    let (now, before) = (cidrs(new), cidrs(old));
    let frozen = |i: usize| Problem::invalid(path().index(i), now[i], FROZEN);
    if now.len() == before.len() {
        let changed = (0..now.len()).filter(|i| now[*i] != before[*i]);
        return changed.map(frozen).collect();
    }
    if before.len() != 1 || now.len() != 2 {
        return vec![Problem::invalid(
            path(),
            new["spec"]["cidrs"].clone(),
            FROZEN,
        )];
    }
    let mut problems = Problems::new();
    if now[0] != before[0] {
        problems.push(frozen(0));
    }
    problems.extend(ranges(new));
    problems
}

#[cfg(test)]
mod tests;
