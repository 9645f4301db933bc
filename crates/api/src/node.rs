//! Node: what its objects mean (`registry/core/node`).

mod validation;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::Problems;
use crate::printer::node as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{boolean, remove, set, text};

/// The strategy of `v1/Node`.
pub struct Node;

impl Strategy for Node {
    /// What there is can be given out, unless the node says less. `podCIDR` and the first of `podCIDRs` are one.
    fn set_defaults(&self, object: &mut Value) {
        let first = text(object, "/spec/podCIDRs/0").to_owned();
        match text(object, "/spec/podCIDR").to_owned() {
            cidr if cidr.is_empty() && !first.is_empty() => set(object, "/spec", "podCIDR", first),
            cidr if cidr != first => set(object, "/spec", "podCIDRs", json!([cidr])),
            _ => {}
        }
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
        validation::create(object)
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

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = Problems::new();
        if part == Part::Main {
            problems.extend(validation::create(new));
        }
        problems.extend(validation::update(new, old));
        problems
    }

    fn warnings(&self, part: Part, new: &Value, _old: Option<&Value>) -> Vec<String> {
        match part {
            Part::Main => validation::warnings(new),
            Part::Sub(_) => Vec::new(),
        }
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
