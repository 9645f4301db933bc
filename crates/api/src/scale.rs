//! Scale: what every kind with replicas shows of itself (`autoscaling/v1`). It is not stored.

use jiff::Timestamp;
use serde_json::Value;

use crate::age;
use crate::printer::column;
use crate::resource::{Column, Resource, Strategy};
use crate::validation::json::{integer, text};

/// The strategy of `autoscaling/v1/Scale`: how it is shown.
struct Scale;

const COLUMNS: &[Column] = &[
    column("Name", "string"),
    column("Desired", "integer"),
    column("Available", "integer"),
    column("Age", "string"),
];

impl Strategy for Scale {
    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![
            text(object, "/metadata/name").into(),
            integer(object, "/spec/replicas").into(),
            integer(object, "/status/replicas").into(),
            age::of(object, now),
        ]
    }
}

/// The kind, for whoever shows it.
pub static RESOURCE: Resource = Resource {
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    plural: "scale",
    singular: "scale",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: &[],
    subresources: &[],
    definition: "io.k8s.api.autoscaling.v1.Scale",
    strategy: &Scale,
};
