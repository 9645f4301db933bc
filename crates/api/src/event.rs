//! Event of the core group: what its objects mean (`registry/core/event`).

mod validation;

use jiff::Timestamp;
use serde_json::Value;

use crate::field::Problems;
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::json::text;

/// The strategy of `v1/Event`.
pub struct Event;

impl Strategy for Event {
    fn rules(&self) -> Rules {
        Rules {
            create_on_update: true,
            ..Rules::default()
        }
    }

    fn validate_create(&self, object: &Value) -> Problems {
        validation::core(object)
    }

    /// Everything may change.
    fn validate_update(&self, _part: Part, new: &Value, _old: &Value) -> Problems {
        validation::core(new)
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }

    fn selectable_field(&self, object: &Value, field: &str) -> String {
        let value = match field {
            "source" => match text(object, "/source/component") {
                "" => text(object, "/reportingComponent"),
                component => component,
            },
            _ => text(object, &format!("/{}", field.replace('.', "/"))),
        };
        value.to_owned()
    }

    fn columns(&self) -> &'static [Column] {
        printer::EVENT
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::event_cells(object, now)
    }
}
