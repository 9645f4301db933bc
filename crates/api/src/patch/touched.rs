//! How a patched object is printed in a message: the patch library keeps what it did not look into as it
//! was (struct fields in Go's order) and prints what it took apart as a map, with sorted keys.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::print::{Members, go_json_value};
use crate::schema::table::Definition;

/// The parts that were taken apart, as a tree of members.
#[derive(Debug, Default)]
pub(super) struct Touched {
    below: BTreeMap<String, Touched>,
}

impl Touched {
    /// Marks the way to a member.
    pub(super) fn mark<'p>(&mut self, path: impl IntoIterator<Item = &'p str>) {
        let mut at = self;
        for step in path {
            at = at.below.entry(step.to_owned()).or_default();
        }
    }

    /// Marks every object of a merge patch.
    pub(super) fn mark_objects(&mut self, patch: &Value) {
        let Value::Object(map) = patch else {
            return;
        };
        for (key, value) in map.iter().filter(|(_, value)| value.is_object()) {
            self.below
                .entry(key.clone())
                .or_default()
                .mark_objects(value);
        }
    }

    /// One line of JSON.
    pub(super) fn print(&self, known: &'static Definition, object: &Value) -> String {
        go_json_value(known, object, Some(self))
    }
}

impl Members for Touched {
    fn member(&self, name: &str) -> Option<&dyn Members> {
        self.below.get(name).map(|below| below as &dyn Members)
    }
}
