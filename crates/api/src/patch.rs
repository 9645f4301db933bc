//! Patches: the three kinds that change an object as it is sent (apply is [`crate::managed_fields`]'s).
//!
//! The result is decoded like a body, and what is wrong with it is told with the whole patched object (or,
//! after a strategic merge, with the patch) in the message, as Kubernetes does.

mod json;
mod merge;
mod strategic;
mod touched;

use serde_json::{Value, json};

use crate::field::{Path, Problem};
use crate::schema::{self, Decoded, Kind, Validation, print, table};
use crate::status::Status;

/// A kind of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// `application/json-patch+json` (RFC 6902).
    Json,
    /// `application/merge-patch+json` (RFC 7386).
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

impl Patch {
    /// By a request's media type, without parameters.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// Applies a patch to an object in canonical form. Sets no defaults.
pub fn apply(
    patch: Patch,
    kind: &Kind<'_>,
    current: &Value,
    body: &[u8],
    validation: Validation,
) -> Result<Decoded, Status> {
    match patch {
        Patch::Json => {
            let patched = json::apply(current, body, validation != Validation::Ignore)?;
            decode(kind, &patched, validation)
        }
        Patch::Merge => decode(kind, &merge::apply(current, body)?, validation),
        Patch::Strategic => strategic(kind, current, body, validation),
    }
}

/// A patched object that is not decoded yet.
struct Patched {
    object: Value,
    /// Which parts the patch library has taken apart: they are printed with sorted keys.
    touched: touched::Touched,
    /// Repeated fields of the patch.
    repeated: Vec<String>,
}

fn decode(kind: &Kind<'_>, patched: &Patched, validation: Validation) -> Result<Decoded, Status> {
    let strict = validation != Validation::Ignore;
    let refuse = |error: String| {
        let shown = match table::definition(kind.definition) {
            Some(known) => patched.touched.print(known, &patched.object),
            None => patched.object.to_string(),
        };
        invalid(&shown, &error)
    };
    let text = patched.object.to_string();
    let decoded = schema::decode_patched(kind, text.as_bytes(), strict);
    let (object, unknown) = decoded.map_err(refuse)?;
    let mut problems = if strict {
        patched.repeated.clone()
    } else {
        Vec::new()
    };
    problems.extend(unknown);
    if validation == Validation::Strict && !problems.is_empty() {
        return Err(refuse(strict_error(&problems)));
    }
    Ok(Decoded {
        object,
        warnings: problems,
    })
}

fn strategic(
    kind: &Kind<'_>,
    current: &Value,
    body: &[u8],
    validation: Validation,
) -> Result<Decoded, Status> {
    let strict = validation != Validation::Ignore;
    let (patch, mut problems) = read_object(body).map_err(Status::bad_request)?;
    let refuse = |error: String| invalid(&print::go_value(&patch), &error);
    let known = table::definition(kind.definition)
        .ok_or_else(|| refuse(schema::not_registered_text(kind.kind, &kind.api_version())))?;
    let mut object = strategic::merge(known, current.clone(), patch.clone())?;
    let unknown = schema::convert(known, &mut object).map_err(refuse)?;
    problems.extend(unknown);
    if validation == Validation::Strict && !problems.is_empty() {
        return Err(refuse(strict_error(&problems)));
    }
    if !strict {
        problems.clear();
    }
    object["kind"] = kind.kind.into();
    object["apiVersion"] = kind.api_version().into();
    Ok(Decoded {
        object,
        warnings: problems,
    })
}

/// A patch that has to be an object (null is an empty one), and its repeated fields.
fn read_object(body: &[u8]) -> Result<(Value, Vec<String>), String> {
    schema::check_json(body)?;
    let (value, repeated) = schema::any_noting_repeated(body);
    match value {
        Value::Object(_) => Ok((value, repeated)),
        Value::Null => Ok((json!({}), repeated)),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            word(&other)
        )),
    }
}

/// Why a text is no JSON object.
pub(crate) fn why_no_object(text: &[u8]) -> Option<String> {
    read_object(text).err()
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn strict_error(problems: &[String]) -> String {
    format!("strict decoding error: {}", problems.join(", "))
}

/// 422 with the patched object; no name and no kind are known at this point.
fn invalid(shown: &str, error: &str) -> Status {
    let quoted = print::go_quote(shown);
    let problem = Problem::invalid_as(Path::new("patch"), quoted, error);
    Status::invalid("", "", "", &[problem])
}

/// 422 for a patch that cannot be applied; Kubernetes does not say why.
fn cannot_be_applied() -> Status {
    const TEXT: &str = "the server rejected our request due to an error in our request";
    Status::new(422, "Invalid", TEXT).with_details(json!({}))
}

#[cfg(test)]
mod tests;
