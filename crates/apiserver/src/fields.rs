//! Who manages which field, at every write.

use api::managed_fields::{self, ApplyOptions, Writer};
use api::resource::Part;
use api::schema::{Kind, Validation};
use api::status::Status;
use jiff::Timestamp;
use serde_json::Value;

use crate::write::Write;

/// Computes `metadata.managedFields` of an object that is about to be written.
pub(crate) fn update(write: &Write<'_>, old: Option<&Value>, object: &mut Value) {
    let api_version = write.target.resource.api_version();
    let writer = writer(write, &api_version);
    managed_fields::update(write.target.resource.definition, old, object, &writer);
}

/// A write that changes nothing but the times in managedFields is no write: the stored times stay.
pub(crate) fn keep_times(old: &Value, object: &mut Value) {
    managed_fields::keep_times_of_no_change(old, object);
}

/// The object as the configuration in the request's body leaves it, with its managed fields.
///
/// # Errors
/// Conflicts with other managers, or what is wrong with the configuration.
pub(crate) fn apply(
    write: &Write<'_>,
    current: Option<&Value>,
    force: bool,
    validation: Validation,
) -> Result<Value, Status> {
    let resource = write.target.resource;
    let api_version = resource.api_version();
    let writer = writer(write, &api_version);
    let (kind, options) = (Kind::from(resource), ApplyOptions { force, validation });
    let body = &write.call.body;
    let applied = managed_fields::apply(&kind, current, body, options, &writer)?;
    for warning in applied.warnings {
        write.call.warn(warning);
    }
    Ok(applied.object)
}

fn writer<'a>(write: &'a Write<'_>, api_version: &'a str) -> Writer<'a> {
    Writer {
        manager: write.manager,
        api_version,
        subresource: match write.part {
            Part::Main => "",
            Part::Sub(name) => name,
        },
        now: Timestamp::now(),
        reset: write.target.resource.strategy.reset_fields(write.part),
    }
}
