//! Namespace: what its objects mean (`registry/core/namespace`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::{Path, Problem, Problems};
use crate::printer::simple as printer;
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::json::{restore, set, text, texts};
use crate::validation::{metadata, names};

/// The label that every namespace has; its value is the name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The finalizer that the namespace controller takes off when nothing is left inside.
const FINALIZER: &str = "kubernetes";

/// The strategy of `v1/Namespace`.
pub struct Namespace;

impl Strategy for Namespace {
    fn rules(&self) -> Rules {
        Rules {
            delete_returns_object: true,
            ..Rules::default()
        }
    }

    fn set_defaults(&self, object: &mut Value) {
        label(object);
        if text(object, "/status/phase").is_empty() {
            set(object, "/status", "phase", "Active");
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({"phase": "Active"});
        let mut finalizers = texts(object, "/spec/finalizers");
        if !finalizers.contains(&FINALIZER) {
            finalizers.push(FINALIZER);
        }
        let finalizers = json!(finalizers);
        set(object, "/spec", "finalizers", finalizers);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        whole(object)
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        match part {
            Part::Sub("status") => new["spec"] = old["spec"].clone(),
            Part::Sub(_) => new["status"] = old["status"].clone(),
            Part::Main => {
                restore(new, "/spec", "finalizers", old);
                new["status"] = old["status"].clone();
            }
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        // A whole update is checked as a new object first, and then as a change.
        let mut problems = match part {
            Part::Main => whole(new),
            Part::Sub(_) => Problems::new(),
        };
        problems.extend(metadata::update(new, old));
        match part {
            Part::Sub("status") => problems.extend(phase(new)),
            Part::Sub("finalize") => {
                let at = Path::new("spec.finalizers");
                for (i, name) in texts(new, "/spec/finalizers").into_iter().enumerate() {
                    problems.extend(metadata::finalizer(name, &at.index(i)));
                }
            }
            _ => {}
        }
        problems
    }

    /// A generated name was not known when the defaults were set.
    fn canonicalize(&self, object: &mut Value) {
        label(object);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.phase"]
    }

    fn selectable_field(&self, object: &Value, _field: &str) -> String {
        text(object, "/status/phase").to_owned()
    }

    fn columns(&self) -> &'static [Column] {
        printer::NAMESPACE
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::namespace_cells(object, now)
    }
}

fn whole(namespace: &Value) -> Problems {
    let mut problems = metadata::new_object(namespace, false, names::dns_label_name);
    let at = Path::new("spec.finalizers");
    for name in texts(namespace, "/spec/finalizers") {
        problems.extend(metadata::finalizer(name, &at));
    }
    problems
}

/// The phase follows from whether the namespace is being deleted.
fn phase(namespace: &Value) -> Option<Problem> {
    let (wanted, words) = match namespace["metadata"]["deletionTimestamp"] {
        Value::Null => (
            "Active",
            "may only be 'Active' if `deletionTimestamp` is empty",
        ),
        _ => (
            "Terminating",
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        ),
    };
    let said = text(namespace, "/status/phase");
    (said != wanted).then(|| Problem::invalid(Path::new("status.Phase"), said, words))
}

fn label(namespace: &mut Value) {
    let name = text(namespace, "/metadata/name").to_owned();
    if !name.is_empty() {
        set(namespace, "/metadata/labels", NAME_LABEL, name);
    }
}
