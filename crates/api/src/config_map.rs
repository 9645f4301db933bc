//! ConfigMap: what its objects mean (`registry/core/configmap`).

use jiff::Timestamp;
use serde_json::Value;

use crate::data_keys;
use crate::field::{Path, Problem, Problems};
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::pairs;
use crate::validation::labels::invalid;
use crate::validation::{metadata, names};

/// The strategy of `v1/ConfigMap`.
pub struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(data(object));
        problems
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(data_keys::frozen(new, old, &["data", "binaryData"]));
        problems.extend(self.validate_create(new));
        problems
    }

    fn columns(&self) -> &'static [Column] {
        printer::CONFIG_MAP
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::config_map_cells(object, now)
    }
}

/// Keys are file names and occur once in both maps; the whole is not too long.
fn data(object: &Value) -> Problems {
    let path = Path::new("data");
    let mut problems = Problems::new();
    for (key, _) in pairs(object, "/data") {
        let at = path.key(key);
        problems.extend(invalid(&at, key, names::config_map_key(key)));
        if !object["binaryData"][key].is_null() {
            let words = "duplicate of key present in binaryData";
            problems.push(Problem::invalid(at, key, words));
        }
    }
    problems.extend(data_keys::keys(object, "binaryData"));
    let size = data_keys::size(object, "data", false) + data_keys::size(object, "binaryData", true);
    if size > data_keys::MAX_SIZE {
        problems.push(Problem::too_long(Path::nameless(), data_keys::MAX_SIZE));
    }
    problems
}
