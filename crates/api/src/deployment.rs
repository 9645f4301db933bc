//! Deployment: what its objects mean (`registry/apps/deployment`, `SetDefaults_Deployment`).

mod validation;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::Problems;
use crate::printer::workload as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::{default, restore, text};
use crate::validation::metadata;
use crate::workload;

/// The strategy of `apps/v1/Deployment`.
pub struct Deployment;

impl Strategy for Deployment {
    fn set_defaults(&self, object: &mut Value) {
        workload::template_defaults(object);
        let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else {
            return;
        };
        default(spec, "replicas", 1);
        default(spec, "revisionHistoryLimit", 10);
        default(spec, "progressDeadlineSeconds", 600);
        default(spec, "strategy", json!({}));
        let strategy = &mut spec["strategy"];
        default(strategy, "type", "RollingUpdate");
        if text(strategy, "/type") == "RollingUpdate" {
            default(strategy, "rollingUpdate", json!({}));
            // An empty text is no number, and refused as such.
            for member in ["maxUnavailable", "maxSurge"] {
                if strategy["rollingUpdate"][member].is_null() {
                    strategy["rollingUpdate"][member] = "25%".into();
                }
            }
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({});
        workload::drop_disabled(object, None);
        workload::set_generation(object, 1);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = workload::validate_new(object);
        problems.extend(validation::spec(object));
        problems
    }

    /// Annotations count as a change, because they are copied to the ReplicaSets.
    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        if part == Part::Sub("status") {
            new["spec"] = old["spec"].clone();
            restore(new, "/metadata", "labels", old);
            return;
        }
        new["status"] = old["status"].clone();
        workload::drop_disabled(new, Some(old));
        let annotations = |object: &Value| object["metadata"]["annotations"].clone();
        if new["spec"] != old["spec"] || annotations(new) != annotations(old) {
            workload::next_generation(new, old);
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        if part == Part::Sub("status") {
            problems.extend(validation::status(new, old));
        } else {
            problems.extend(validation::spec(new));
            problems.extend(workload::selector_is_kept(new, old));
        }
        problems
    }

    fn warnings(&self, part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        match part {
            Part::Main => workload::warnings(new, old),
            Part::Sub(_) => Vec::new(),
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            Part::Sub("status") => &["spec", "metadata.labels"],
            Part::Sub(_) => &[],
        }
    }

    fn columns(&self) -> &'static [Column] {
        printer::DEPLOYMENT
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::deployment_cells(object, now)
    }
}
