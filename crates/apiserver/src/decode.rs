//! Request bodies: which format, and what they say.

use api::resource::Resource;
use api::schema::{self, Format, Kind, Validation};
use api::status::Status;
use serde_json::Value;

use crate::call::Call;

/// The object in the body; what it says too much becomes warnings or an error.
pub(crate) fn object(
    call: &Call,
    resource: &Resource,
    validation: Validation,
) -> Result<Value, Status> {
    kind(call, &Kind::from(resource), validation)
}

/// As [`object`], for what is no served kind.
pub(crate) fn kind(call: &Call, kind: &Kind<'_>, validation: Validation) -> Result<Value, Status> {
    let decoded = schema::decode(kind, format(call)?, &call.body, validation)?;
    for warning in decoded.warnings {
        call.warn(warning);
    }
    Ok(decoded.object)
}

/// The `DeleteOptions` in the body.
pub(crate) fn delete_options(call: &Call) -> Result<Value, Status> {
    schema::decode_delete_options(format(call)?, &call.body)
}

/// Fills in what Go's types print always.
pub(crate) fn canonical(resource: &Resource, object: &mut Value) {
    schema::normalise(resource.definition, object);
}

fn format(call: &Call) -> Result<Format, Status> {
    match call.content_type().as_deref() {
        Ok("application/json") => Ok(Format::Json),
        Ok("application/yaml") => Ok(Format::Yaml),
        Ok("application/vnd.kubernetes.protobuf") => Ok(Format::Protobuf),
        _ => Err(unsupported(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// 415.
pub(crate) fn unsupported(accepted: &str) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    );
    Status::new(415, "UnsupportedMediaType", message)
}
