//! A recording's form on disk.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Calls in one fresh namespace, with the answers that were recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct Recording {
    /// One sentence that says what is being asked.
    pub about: String,
    /// The calls, in order.
    pub steps: Vec<Step>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// A file that cannot be read or is not a recording; the text names it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// One call: how to ask, how to reduce the answer, and the answer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// `METHOD path?query`; `WATCH` is a GET that reads events.
    pub call: String,
    /// `json`, `merge`, `strategic`, `apply` or a media type.
    #[serde(rename = "type")]
    pub content_type: Option<String>,
    /// `table` or a media type.
    pub accept: Option<String>,
    /// Impersonated user and group.
    #[serde(rename = "as")]
    pub impersonate: Option<String>,
    /// Further headers; null leaves one out.
    pub headers: BTreeMap<String, Option<String>>,
    /// The JSON body, as text: some answers tell the order of its keys. A null is a body, too.
    #[serde(deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<RawValue>>,
    /// The body as text, instead.
    pub raw: Option<String>,
    /// The body as bytes, instead.
    pub raw64: Option<String>,
    /// Blanks added to the body.
    pub pad: usize,
    /// Answer headers to be compared.
    pub keep: Option<Vec<String>>,
    /// `yaml`: read the answer as YAML.
    pub parse: Option<String>,
    /// A watch ends after so many events.
    pub events: Option<usize>,
    /// Seconds that a watch may take.
    pub seconds: Option<f64>,
    /// Seconds to wait first.
    pub after: f64,
    /// Seconds to wait for `eventually`.
    pub within: Option<f64>,
    /// Ask until these pointers have these values.
    pub eventually: BTreeMap<String, Value>,
    /// Put the lists at these pointers in order by a key.
    pub sort: BTreeMap<String, String>,
    /// Keep only this part of a 200's body.
    pub at: Option<String>,
    /// Keep only these members of a list, in this order.
    pub pick: BTreeMap<String, BTreeMap<String, Vec<Value>>>,
    /// Drop what is not the point.
    pub without: Vec<String>,
    /// Reduce the answer (or a list's members) to these.
    pub only: BTreeMap<String, Vec<String>>,
    /// Patterns whose matches become a placeholder. (Recorded texts hold the placeholder already.)
    pub mask: BTreeMap<String, String>,
    /// Keep the status alone.
    pub quiet: bool,
    /// Repeat: a number, or the path of a list.
    #[serde(rename = "for")]
    pub each: Option<Value>,
    /// Members of that list for which this holds.
    #[serde(rename = "where")]
    pub condition: BTreeMap<String, Value>,
    /// Only so many of them.
    pub first: Option<usize>,
    /// What was recorded.
    pub answer: Option<Recorded>,
}

fn some<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(input).map(Some)
}

/// A recorded answer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Recorded {
    /// HTTP status.
    pub status: u16,
    /// Media type without parameters.
    #[serde(rename = "type", default)]
    pub content_type: String,
    /// Warning headers.
    #[serde(default)]
    pub warnings: Vec<Value>,
    /// The headers of `keep`.
    #[serde(default)]
    pub headers: Option<Value>,
    /// The reduced body.
    #[serde(default)]
    pub body: Value,
}
