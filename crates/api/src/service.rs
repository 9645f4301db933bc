//! Service: what its objects mean. Each rule of `registry/core/service` and `apis/core/validation` is in a
//! file of its own below.
//!
//! A write goes [`defaults`](mod@defaults) → [`transitions::carry_over`] and
//! [`transitions::align_cluster_ips`] → [`allocation`] (these two by the API server, because they need to
//! know what is taken) → the strategy's preparing → [`validation`](mod@validation).

pub mod allocation;
mod defaults;
pub mod families;
mod printer;
pub mod spec;
pub mod transitions;
mod validation;
mod warnings;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::Problems;
use crate::resource::{Column, Part, Rules, Strategy};
use crate::validation::json::{remove, text};
use spec::Spec;

pub(crate) use validation::protocol_problems;

/// The strategy of `v1/Service`.
pub struct Service;

impl Strategy for Service {
    fn rules(&self) -> Rules {
        Rules {
            create_on_update: true,
            delete_returns_object: true,
            shown_otherwise: true,
            ..Rules::default()
        }
    }

    fn set_defaults(&self, object: &mut Value) {
        defaults::set_defaults(object);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        object["status"] = json!({"loadBalancer": {}});
    }

    fn validate_create(&self, object: &Value) -> Problems {
        validation::create(object)
    }

    fn prepare_for_update(&self, part: Part, new: &mut Value, old: &Value) {
        match part {
            Part::Main => {
                new["status"] = old["status"].clone();
                transitions::drop_unused(new, old);
            }
            Part::Sub(_) => new["spec"] = old["spec"].clone(),
        }
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Problems {
        match part {
            Part::Main => validation::update(new, old),
            Part::Sub(_) => validation::validate_status_update(new, old),
        }
    }

    /// An internal traffic policy means nothing for ExternalName: it is stored and not shown. An address has
    /// its list. A Service that was created through its status, past the allocation, shows the families of its
    /// addresses.
    fn shown(&self, object: &Value) -> Option<Value> {
        let mut shown = object.clone();
        transitions::align_cluster_ips(&mut shown, None);
        if Spec::of(&shown).is_external_name() {
            remove(&mut shown, "/spec", "internalTrafficPolicy");
        } else {
            families::infer_missing(&mut shown);
        }
        (shown != *object).then_some(shown)
    }

    fn warnings(&self, part: Part, new: &Value, old: Option<&Value>) -> Vec<String> {
        match (part, old) {
            (Part::Sub(_), Some(_)) => warnings::of_status(new),
            _ => warnings::of_service(new),
        }
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }

    fn selectable_field(&self, object: &Value, field: &str) -> String {
        text(object, &format!("/{}", field.replace('.', "/"))).to_owned()
    }

    fn columns(&self) -> &'static [Column] {
        printer::COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        printer::cells(object, now)
    }
}

#[cfg(test)]
mod tests;
