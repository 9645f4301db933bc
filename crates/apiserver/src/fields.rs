//! Who manages which field, at every write.

use serde_json::Value;

use crate::write::Write;

/// Computes `metadata.managedFields` of an object that is about to be written.
pub(crate) fn update(_write: &Write<'_>, _old: Option<&Value>, _object: &mut Value) {}

/// A write that changes nothing but the times in managedFields is no write: the stored times stay.
pub(crate) fn keep_times(_old: &Value, _object: &mut Value) {}
