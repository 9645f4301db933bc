//! The strategy of a kind that has no rules of its own.

use jiff::Timestamp;
use serde_json::Value;

use crate::age;
use crate::field::Problems;
use crate::resource::{Part, Strategy};
use crate::validation::{metadata, names};

/// Accepts every object with sound metadata; its table shows name and age.
pub(crate) struct Plain;

impl Strategy for Plain {
    fn validate_create(&self, object: &Value) -> Problems {
        let namespaced = !object["metadata"]["namespace"].is_null();
        metadata::new_object(object, namespaced, names::dns_subdomain_name)
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        metadata::update(new, old)
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![object["metadata"]["name"].clone(), age::of(object, now)]
    }
}
