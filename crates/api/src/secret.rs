//! Secret: what its objects mean (`registry/core/secret`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use crate::data_keys;
use crate::field::{Path, Problems};
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{pairs, remove, set, text};
use crate::validation::{metadata, names};

/// The strategy of `v1/Secret`.
pub struct Secret;

impl Strategy for Secret {
    fn set_defaults(&self, object: &mut Value) {
        encode_strings(object);
        if text(object, "/type").is_empty() {
            set(object, "", "type", "Opaque");
        }
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = metadata::new_object(object, true, names::dns_subdomain_name);
        problems.extend(data_keys::keys(object, "data"));
        problems
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        problems.extend(metadata::immutable(
            &new["type"],
            &old["type"],
            &Path::new("type"),
        ));
        problems.extend(data_keys::frozen(new, old, &["data"]));
        problems.extend(data_keys::keys(new, "data"));
        problems
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn selectable_field(&self, object: &Value, _field: &str) -> String {
        text(object, "/type").to_owned()
    }

    fn columns(&self) -> &'static [Column] {
        printer::SECRET
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::secret_cells(object, now)
    }
}

/// `stringData` is only a way to write `data`, and wins over it.
fn encode_strings(secret: &mut Value) {
    let strings: Vec<(String, String)> = pairs(secret, "/stringData")
        .into_iter()
        .map(|(key, value)| (key.to_owned(), STANDARD.encode(value)))
        .collect();
    for (key, value) in strings {
        set(secret, "/data", &key, value);
    }
    remove(secret, "", "stringData");
}
