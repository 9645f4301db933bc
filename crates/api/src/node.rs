//! Node: what its objects mean (`registry/core/node`).

use jiff::Timestamp;
use serde_json::Value;

use crate::field::Problems;
use crate::printer::node as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{boolean, remove};
use crate::validation::{metadata, names};

/// The strategy of `v1/Node`.
pub struct Node;

impl Strategy for Node {
    /// What there is can be given out, unless the node says less.
    fn set_defaults(&self, object: &mut Value) {
        let status = &object["status"];
        if status["allocatable"].is_null() && status["capacity"].is_object() {
            object["status"]["allocatable"] = object["status"]["capacity"].clone();
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        remove(object, "/spec", "configSource");
        remove(object, "/status", "config");
    }

    fn validate_create(&self, object: &Value) -> Problems {
        metadata::new_object(object, false, names::dns_subdomain_name)
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        if part == Part::Sub("status") {
            new["spec"] = old["spec"].clone();
            if old["status"]["config"].is_null() {
                remove(new, "/status", "config");
            }
            return;
        }
        new["status"] = old["status"].clone();
        if old["spec"]["configSource"].is_null() {
            remove(new, "/spec", "configSource");
        }
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        metadata::update(new, old)
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }

    fn selectable_field(&self, object: &Value, _field: &str) -> String {
        (boolean(object, "/spec/unschedulable") == Some(true)).to_string()
    }

    fn columns(&self) -> &'static [Column] {
        printer::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::cells(object, now)
    }
}
