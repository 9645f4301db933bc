//! Problems with a field of an object, in the words of Kubernetes' `apimachinery/pkg/util/validation/field`.

use std::fmt;

use serde_json::Value;

/// Where in an object: `spec.ports[0].nodePort`, `metadata.annotations[key]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(String);

impl Path {
    /// The path of a top-level field, or a dotted path as a whole.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// A path to nothing by an empty name, as upstream has it where the whole object is meant; it prints as `[]`.
    pub fn nameless() -> Self {
        Self("[]".to_owned())
    }

    /// A field of this object.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            Self(name.to_owned())
        } else {
            Self(format!("{}.{name}", self.0))
        }
    }

    /// A member of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// A member of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("<nil>")
        } else {
            f.write_str(&self.0)
        }
    }
}

/// What kind of problem; it decides the text and the cause's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A needed value is missing.
    Required,
    /// The value is malformed or not allowed here.
    Invalid,
    /// The value is not one of a closed list.
    NotSupported,
    /// The field may not be set in this situation.
    Forbidden,
    /// The value occurs twice.
    Duplicate,
    /// The text has too many bytes.
    TooLong,
    /// The list has too many members.
    TooMany,
    /// The value names something that does not exist.
    NotFound,
    /// The value's JSON type is wrong.
    TypeInvalid,
    /// Our fault.
    Internal,
}

impl Kind {
    /// The `reason` of a status cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
            Self::Internal => "Internal error",
        }
    }
}

/// One problem. `Display` prints `field: detail`, as the aggregated message has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// Where.
    pub field: Path,
    /// The offending value as it is printed (`"x"`, `0`, `["10.96.0.10"]`); empty where the kind has none.
    pub value: String,
    /// The explanation after the value; may be empty.
    pub detail: String,
}

impl Problem {
    /// A needed value is missing.
    pub fn required(field: Path, detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::Required,
            field,
            value: String::new(),
            detail: detail.into(),
        }
    }

    /// The value is malformed. Strings are quoted, composites printed as JSON.
    pub fn invalid(field: Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::Invalid,
            field,
            value: shown(&value.into()),
            detail: detail.into(),
        }
    }

    /// As [`Problem::invalid`], for a value whose printed form is not its JSON (Go's own field names).
    pub fn invalid_as(field: Path, value: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::Invalid,
            field,
            value: value.into(),
            detail: detail.into(),
        }
    }

    /// The value is none of `supported`; the caller sorts (not every list upstream is sorted).
    pub fn not_supported(field: Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let list = supported
            .iter()
            .map(|s| format!("\"{s}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let detail = if list.is_empty() {
            list
        } else {
            format!("supported values: {list}")
        };
        Self {
            kind: Kind::NotSupported,
            field,
            value: shown(&value.into()),
            detail,
        }
    }

    /// The field may not be set here.
    pub fn forbidden(field: Path, detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::Forbidden,
            field,
            value: String::new(),
            detail: detail.into(),
        }
    }

    /// The value occurs twice.
    pub fn duplicate(field: Path, value: impl Into<Value>) -> Self {
        Self {
            kind: Kind::Duplicate,
            field,
            value: shown(&value.into()),
            detail: String::new(),
        }
    }

    /// As [`Problem::duplicate`], for a value whose printed form is not its JSON.
    pub fn duplicate_as(field: Path, value: impl Into<String>) -> Self {
        Self {
            kind: Kind::Duplicate,
            field,
            value: value.into(),
            detail: String::new(),
        }
    }

    /// The text has more than `limit` bytes.
    pub fn too_long(field: Path, limit: usize) -> Self {
        let detail = format!("may not be more than {limit} bytes");
        Self {
            kind: Kind::TooLong,
            field,
            value: String::new(),
            detail,
        }
    }

    /// The value names something that does not exist.
    pub fn not_found(field: Path, value: impl Into<Value>) -> Self {
        Self {
            kind: Kind::NotFound,
            field,
            value: shown(&value.into()),
            detail: String::new(),
        }
    }

    /// The text without the field's path: a status cause's `message`.
    pub fn message(&self) -> String {
        let mut text = self.kind.words().to_owned();
        for part in [&self.value, &self.detail] {
            if !part.is_empty() {
                text.push_str(": ");
                text.push_str(part);
            }
        }
        text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

/// All problems of an object, in the order Kubernetes finds them.
pub type Problems = Vec<Problem>;

/// A value as an error text shows it: a text as Go's `%q`, anything else as Go's JSON, which is safe in HTML.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => {
            let json = other.to_string();
            json.replace('<', "\\u003c")
                .replace('>', "\\u003e")
                .replace('&', "\\u0026")
        }
    }
}

/// A text in Go's syntax: printable characters as they are, others escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            ' ' => out.push(c),
            c if c.is_control() || c.is_whitespace() => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_go_shows_them() {
        let cases = [
            (json!("a\tb\"<\u{7f}ü"), "\"a\\tb\\\"<\\x7fü\""),
            (json!(["a<b&"]), "[\"a\\u003cb\\u0026\"]"),
            (json!(7), "7"),
            (json!(null), "null"),
        ];
        for (value, text) in cases {
            assert_eq!(shown(&value), text);
        }
    }
}
