//! GET of one object.

use std::num::ParseIntError;

use api::status::Status;
use store::Revision;

use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::options::why_no_number;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::list;

pub(crate) async fn get(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let wanted = version(call.query.text("resourceVersion"))?;
    api.fresh().await?;
    list::reach(api, wanted).await?;
    let cache = api.registry.of(target.resource);
    let found = cache.get(&target.namespace, &target.name);
    let stored = found.ok_or_else(|| not_found(target.resource, &target.name))?;
    let json = if target.subresource.is_empty() {
        stored.json()
    } else {
        stored.raw()
    };
    Ok(Reply::either(200, view.form.yaml, view.one(json)?))
}

fn version(text: &str) -> Result<Revision, Status> {
    if text.is_empty() {
        return Ok(Revision::default());
    }
    text.parse()
        .map(Revision)
        .map_err(|error| Status::untyped(invalid_version(text, &error)))
}

/// What is said of a version that is no number.
pub(crate) fn invalid_version(text: &str, error: &ParseIntError) -> String {
    let why = why_no_number(error);
    format!(
        "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": {why}"
    )
}
