//! The kinds of patches, by media type.

use api::schema::{self, Decoded, Kind, Validation};
use api::status::Status;
use serde_json::Value;

use crate::write::Write;

/// A kind of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// What is accepted, in the words of a refusal.
pub(crate) const MEDIA_TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
     application/strategic-merge-patch+json, application/apply-patch+yaml, application/apply-patch+cbor";

impl Patch {
    pub(crate) fn from_media_type(text: &str) -> Option<Self> {
        match text {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// The object as the patch leaves it.
pub(crate) fn patch(
    kind: Patch,
    served: &Kind<'_>,
    current: &Value,
    body: &[u8],
    validation: Validation,
) -> Result<Decoded, Status> {
    if kind != Patch::Merge && kind != Patch::Strategic {
        return Err(Status::new(
            501,
            "NotImplemented",
            "this kind of patch is not served yet",
        ));
    }
    let patch: Value =
        serde_json::from_slice(body).map_err(|e| Status::bad_request(e.to_string()))?;
    let mut object = current.clone();
    merge(&mut object, &patch);
    schema::decode_value(served, &object, validation).map_err(Status::bad_request)
}

fn merge(object: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    let into = object.as_object_mut().expect("it was just made an object");
    for (key, value) in members {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The object as an applied configuration leaves it, with its managed fields.
pub(crate) fn apply_configuration(
    _write: &Write<'_>,
    _current: Option<&Value>,
    _force: bool,
) -> Result<Value, Status> {
    Err(Status::new(
        501,
        "NotImplemented",
        "apply is not served yet",
    ))
}
