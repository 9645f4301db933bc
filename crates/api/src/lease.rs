//! Lease: what its objects mean (`registry/coordination/lease`).

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::json::remove;
use crate::validation::{check, metadata, names};

/// The strategy of `coordination.k8s.io/v1/Lease`.
pub struct Lease;

impl Strategy for Lease {
    fn rules(&self) -> Rules {
        Rules {
            create_on_update: true,
            unconditional_update: false,
            ..Rules::default()
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        drop_election(object, &Value::Null);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(spec(object));
        problems
    }

    fn prepare_for_update(&self, _part: Part, new: &mut Value, old: &Value) {
        drop_election(new, old);
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(spec(new));
        problems
    }

    fn columns(&self) -> &'static [Column] {
        printer::LEASE
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::lease_cells(object, now)
    }
}

/// Coordinated leader election (KEP-4355) is off by default, and its fields are not kept.
fn drop_election(new: &mut Value, old: &Value) {
    for member in ["strategy", "preferredHolder"] {
        if old["spec"][member].is_null() {
            remove(new, "/spec", member);
        }
    }
}

fn spec(lease: &Value) -> Problems {
    let (spec, path) = (&lease["spec"], Path::new("spec"));
    let mut problems = Problems::new();
    if let Some(seconds @ ..=0) = spec["leaseDurationSeconds"].as_i64() {
        let at = path.child("leaseDurationSeconds");
        problems.push(Problem::invalid(at, seconds, "must be greater than 0"));
    }
    problems.extend(check::not_negative(spec, "leaseTransitions", &path));
    problems
}
