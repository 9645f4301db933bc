//! ReplicaSet: what its objects mean (`registry/apps/replicaset`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::Problems;
use crate::printer::workload as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{default, integer};
use crate::validation::metadata;
use crate::workload;

/// The strategy of `apps/v1/ReplicaSet`.
pub struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn set_defaults(&self, object: &mut Value) {
        workload::template_defaults(object);
        if let Some(spec) = object.get_mut("spec") {
            default(spec, "replicas", 1);
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({"replicas": 0});
        workload::set_generation(object, 1);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        workload::validate_new(object)
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        if part == Part::Sub("status") {
            new["spec"] = old["spec"].clone();
            return;
        }
        new["status"] = old["status"].clone();
        if new["spec"] != old["spec"] {
            workload::next_generation(new, old);
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        if part != Part::Sub("status") {
            problems.extend(workload::selector(new));
            problems.extend(workload::selector_is_kept(new, old));
        }
        problems
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }

    fn selectable_field(&self, object: &Value, _field: &str) -> String {
        integer(object, "/status/replicas").to_string()
    }

    fn columns(&self) -> &'static [Column] {
        printer::REPLICA_SET
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::replica_set_cells(object, now)
    }
}
