//! Label and field selectors: their text forms (`apimachinery/pkg/labels`, `pkg/fields`), and matching.

mod field;
mod label;

pub use field::{FieldSelector, Fields};
pub use label::LabelSelector;
