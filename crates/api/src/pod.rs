//! Pod: what its objects mean.
//!
//! The rules of a pod's spec are shared with every kind that has a pod template; see
//! [`workload`](crate::workload).

pub(crate) mod defaults;
mod fields;
pub(crate) mod gates;
mod image;
mod label_keys;
mod parts;
mod qos;
mod status;
pub(crate) mod validation;
pub(crate) mod warnings;

pub(crate) use qos::class;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::{Path, Problems};
use crate::printer;
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::json::{integer, set, text};

/// The strategy of `v1/Pod`.
pub struct Pod;

impl Strategy for Pod {
    fn rules(&self) -> Rules {
        Rules {
            delete_returns_object: true,
            ..Rules::default()
        }
    }

    fn set_defaults(&self, object: &mut Value) {
        defaults::pod(object);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        gates::drop_disabled(object, None);
        set(object, "/metadata", "generation", 1);
        object["status"] = status::initial(object);
        label_keys::merge(object);
    }

    fn validate_create(&self, object: &Value) -> Problems {
        validation::create(object)
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        match part {
            Part::Main => {
                gates::drop_disabled(new, Some(old));
                new["status"] = old["status"].clone();
                next_generation(new, old);
            }
            Part::Sub("status") => status::prepare(new, old),
            Part::Sub("ephemeralcontainers") => {
                parts::keep_all_but_ephemeral_containers(new, old);
                next_generation(new, old);
            }
            Part::Sub("resize") => {
                parts::keep_all_but_resources(new, old);
                next_generation(new, old);
            }
            Part::Sub(_) => {}
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        match part {
            Part::Main => validation::update(new, old),
            Part::Sub("status") => validation::status_update(new, old),
            Part::Sub("ephemeralcontainers") => validation::ephemeral_containers(new, old),
            Part::Sub("resize") => validation::resize(new, old),
            Part::Sub(_) => Problems::new(),
        }
    }

    /// Updates are the node's and the scheduler's; upstream spares itself the work.
    fn warnings(&self, part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        match (part, old) {
            (Part::Main, None) => {
                let name = warnings::host_name(new, "the Pod's hostname").into_iter();
                name.chain(warnings::warnings(new, &Path::default()))
                    .collect()
            }
            (Part::Sub("status"), _) => warnings::of_status(new),
            _ => Vec::new(),
        }
    }

    /// A pod that no node runs has nothing to end in peace (`CheckGracefulDelete`).
    fn grace_seconds(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        let usual = integer(object, "/spec/terminationGracePeriodSeconds");
        let ended = matches!(text(object, "/status/phase"), "Failed" | "Succeeded");
        let seconds = match asked.unwrap_or(usual) {
            _ if ended || text(object, "/spec/nodeName").is_empty() => 0,
            ..0 => 1,
            seconds => seconds,
        };
        Some(seconds)
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        fields::SELECTABLE
    }

    fn selectable_field(&self, object: &Value, field: &str) -> String {
        fields::value(object, field)
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            Part::Sub("status") => &[
                "spec",
                "metadata.deletionTimestamp",
                "metadata.ownerReferences",
            ],
            Part::Sub(_) => &[],
        }
    }

    fn columns(&self) -> &'static [Column] {
        printer::pod::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::pod::cells(object, now)
    }

    fn row_conditions(&self, object: &Value) -> Vec<Value> {
        let (reason, message) = match text(object, "/status/phase") {
            "Succeeded" => ("Succeeded", "The pod has completed successfully."),
            "Failed" => ("Failed", "The pod failed."),
            _ => return Vec::new(),
        };
        vec![json!({"type": "Completed", "status": "True", "reason": reason, "message": message})]
    }
}

/// Every change of the spec counts.
fn next_generation(new: &mut Value, old: &Value) {
    if new["spec"] != old["spec"] {
        let generation = integer(new, "/metadata/generation") + 1;
        set(new, "/metadata", "generation", generation);
    }
}
