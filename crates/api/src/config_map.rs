//! ConfigMap: what its objects mean (`registry/core/configmap`).

use jiff::Timestamp;
use serde_json::Value;

use crate::data_keys;
use crate::field::Problems;
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::{metadata, names};

/// The strategy of `v1/ConfigMap`.
pub struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(data_keys::keys(object, "data"));
        problems.extend(data_keys::keys(object, "binaryData"));
        problems
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(data_keys::frozen(new, old, &["data", "binaryData"]));
        problems.extend(data_keys::keys(new, "data"));
        problems.extend(data_keys::keys(new, "binaryData"));
        problems
    }

    fn columns(&self) -> &'static [Column] {
        printer::CONFIG_MAP
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::config_map_cells(object, now)
    }
}
