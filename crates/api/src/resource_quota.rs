//! ResourceQuota: what its objects mean (`registry/core/resourcequota`). What counts against one is in
//! [`quota`](crate::quota).

mod validation;

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::age;
use crate::field::Problems;
use crate::pod::defaults::milli;
use crate::printer::{NAME, column};
use crate::resource::{Column, Part, Strategy};
use crate::schema::quantity::Quantity;
use crate::validation::json::text;
use crate::validation::{metadata, names};

/// The strategy of `v1/ResourceQuota`.
pub struct ResourceQuota;

const COLUMNS: &[Column] = &[
    NAME,
    column("Request", "string"),
    column("Limit", "string"),
    column("Age", "string"),
];

impl Strategy for ResourceQuota {
    fn set_defaults(&self, object: &mut Value) {
        for amounts in ["/spec/hard", "/status/hard", "/status/used"] {
            milli(object.pointer_mut(amounts));
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({});
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(validation::spec(object));
        problems
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        let kept = match part {
            Part::Main => "status",
            Part::Sub(_) => "spec",
        };
        new[kept] = old[kept].clone();
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        match part {
            Part::Main => {
                problems.extend(validation::spec(new));
                problems.extend(validation::scopes_are_kept(new, old));
            }
            Part::Sub(_) => problems.extend(validation::status(new)),
        }
        problems
    }

    fn warnings(&self, part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        if part != Part::Main || old.is_some() {
            return Vec::new();
        }
        let hard = &new["spec"]["hard"];
        let kinds = ["cpu", "memory", "storage", "ephemeral-storage"];
        kinds
            .iter()
            .filter_map(|kind| less_than_requests(hard, kind))
            .collect()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let (limits, requests): (Vec<_>, Vec<_>) = hard_names(object)
            .into_iter()
            .partition(|name| name.starts_with("limits."));
        let shown = |names: Vec<&str>| {
            let of = |list: &str, name: &str| {
                let amount = object["status"][list][name].as_str();
                amount.unwrap_or("0").to_owned()
            };
            let shown = names
                .iter()
                .map(|name| format!("{name}: {}/{}", of("used", name), of("hard", name)));
            Value::from(shown.collect::<Vec<_>>().join(", "))
        };
        vec![
            text(object, "/metadata/name").into(),
            shown(requests),
            shown(limits),
            age::of(object, now),
        ]
    }
}

fn hard_names(object: &Value) -> Vec<&str> {
    let hard = object.pointer("/status/hard").and_then(Value::as_object);
    let mut names: Vec<&str> = hard
        .into_iter()
        .flatten()
        .map(|(name, _)| &**name)
        .collect();
    names.sort_unstable();
    names
}

/// The warning that limits are below requests.
fn less_than_requests(hard: &Value, kind: &str) -> Option<String> {
    let limit_name = format!("limits.{kind}");
    let limit = hard[&limit_name].as_str()?;
    let full = format!("requests.{kind}");
    let bare = matches!(kind, "cpu" | "memory").then_some(kind);
    let (name, request) = [Some(full.as_str()), bare]
        .into_iter()
        .flatten()
        .find_map(|name| Some((name, hard[name].as_str()?)))?;
    let amount = |text: &str| Quantity::parse(text).ok().map(|amount| amount.nano());
    let more = amount(request)?.cmp(&amount(limit)?) == Ordering::Greater;
    more.then(|| {
        format!("ResourceQuota {name} ({request}) should be less than {limit_name} ({limit})")
    })
}

#[cfg(test)]
mod tests;
