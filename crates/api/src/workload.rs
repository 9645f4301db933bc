//! What kinds with a pod template have in common.

use serde_json::Value;

use crate::pod::defaults;
use crate::validation::json::{integer, set};

/// The defaults of `spec.template`.
pub(crate) fn template_defaults(object: &mut Value) {
    if let Some(spec) = object.pointer_mut("/spec/template/spec") {
        defaults::spec(spec);
    }
}

/// Sets `metadata.generation`.
pub(crate) fn set_generation(object: &mut Value, generation: i64) {
    set(object, "/metadata", "generation", generation);
}

/// One more than the stored generation.
pub(crate) fn next_generation(object: &mut Value, old: &Value) {
    set_generation(object, integer(old, "/metadata/generation") + 1);
}
