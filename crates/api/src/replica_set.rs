//! ReplicaSet: what its objects mean (`registry/apps/replicaset`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::{Path, Problems};
use crate::printer::workload as printer;
use crate::resource::{Column, Part, Strategy};
use crate::validation::json::default;
use crate::validation::{check, metadata};
use crate::workload;

/// The strategy of `apps/v1/ReplicaSet`.
pub struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn set_defaults(&self, object: &mut Value) {
        workload::template_defaults(object);
        if let Some(spec) = object.get_mut("spec") {
            default(spec, "replicas", 1);
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({"replicas": 0});
        workload::drop_disabled(object, None);
        workload::set_generation(object, 1);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        let mut problems = workload::validate_new(object);
        problems.extend(validate_spec(object));
        problems
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        if part == Part::Sub("status") {
            new["spec"] = old["spec"].clone();
            return;
        }
        new["status"] = old["status"].clone();
        workload::drop_disabled(new, Some(old));
        if new["spec"] != old["spec"] {
            workload::next_generation(new, old);
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        let mut problems = metadata::update(new, old);
        if part == Part::Sub("status") {
            problems.extend(validate_status(new));
        } else {
            problems.extend(validate_spec(new));
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

    fn columns(&self) -> &'static [Column] {
        printer::REPLICA_SET
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::replica_set_cells(object, now)
    }
}

fn validate_spec(object: &Value) -> Problems {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let mut problems = check::not_negative(spec, "replicas", &path);
    problems.extend(check::not_negative(spec, "minReadySeconds", &path));
    problems.extend(workload::selector_and_template(object));
    problems
}

fn validate_status(object: &Value) -> Problems {
    let members = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    workload::counts(object, &members, &members[1..4])
}
