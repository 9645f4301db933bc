//! The kinds of patches, by media type.

use api::patch;
use api::schema::{Decoded, Kind, Validation};
use api::status::Status;
use serde_json::{Value, json};

/// A kind of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// 415, for what is no kind of patch.
pub(crate) fn unsupported() -> Status {
    let text = "415: Unsupported Media Type";
    Status::new(415, "UnsupportedMediaType", text).with_details(json!({}))
}

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
    let kind = match kind {
        Patch::Json => patch::Patch::Json,
        Patch::Merge => patch::Patch::Merge,
        Patch::Strategic => patch::Patch::Strategic,
        Patch::Apply => return Err(unsupported()),
    };
    patch::apply(kind, served, current, body, validation)
}
