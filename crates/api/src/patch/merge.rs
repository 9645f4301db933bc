//! Merge patches: objects merge, null removes, everything else replaces (RFC 7386).

use serde_json::{Map, Value};

use super::{Patched, read_object, touched::Touched};
use crate::schema;
use crate::status::Status;

/// Applies a merge patch.
pub(super) fn apply(current: &Value, body: &[u8]) -> Result<Patched, Status> {
    let read = read_object(body);
    let (patch, repeated) =
        read.map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if schema::any(body).is_null() {
        return Err(Status::bad_request("Invalid JSON Patch"));
    }
    let mut object = current.clone();
    merge(&mut object, &patch);
    let mut touched = Touched::default();
    touched.mark_objects(&patch);
    Ok(Patched {
        object,
        touched,
        repeated,
    })
}

/// Merges a patch into a value.
pub(super) fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Map::new().into();
    }
    let Value::Object(map) = value else {
        return;
    };
    for (key, change) in patch {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}
