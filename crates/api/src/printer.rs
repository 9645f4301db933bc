//! Table rows of the kinds around Services (`kubernetes/pkg/printers/internalversion/printers.go`).
//!
//! The server always sends the wide form; clients leave out columns with a priority above 0.

pub mod node;
pub mod pod;
pub mod simple;
pub mod workload;

use serde_json::Value;

use crate::resource::Column;

/// A column that is always shown.
pub const fn column(name: &'static str, kind: &'static str) -> Column {
    Column {
        name,
        kind,
        format: "",
        priority: 0,
    }
}

/// A column of `-o wide`.
pub const fn wide(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 1,
    }
}

/// The name column.
pub const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
};

/// A text or `<none>`.
pub fn or_none(text: &str) -> Value {
    if text.is_empty() {
        "<none>".into()
    } else {
        text.into()
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}
