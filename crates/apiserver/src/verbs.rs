//! What may be done with objects, one file each.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod delete_collection;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod update;
pub(crate) mod watch;

use api::resource::Part;
use api::status::Status;
use http::header::ACCEPT;

use crate::accept::{Offers, negotiate};
use crate::call::Call;
use crate::render::View;
use crate::routes::Target;

/// How this request wants its objects shown.
pub(crate) fn view(call: &Call, target: &Target) -> Result<View, Status> {
    let form = negotiate(call.header(ACCEPT), Offers::Objects)?;
    View::new(target.resource, form, &call.query)
}

/// The part of the object that the path names.
pub(crate) fn part(target: &Target) -> Part {
    let named = |sub: &&api::resource::Subresource| sub.name == target.subresource;
    let found = target.resource.subresources.iter().find(named);
    found.map_or(Part::Main, |sub| Part::Sub(sub.name))
}
