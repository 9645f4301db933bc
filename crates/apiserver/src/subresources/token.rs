//! POST to a ServiceAccount's `token`. Tokens come with RBAC; until then the answer says so.

use api::status::Status;

use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::reply::Reply;
use crate::routes::Target;

pub(crate) async fn create(api: &Api, _call: &Call, target: &Target) -> Result<Reply, Status> {
    let found = api.stored(target, &target.name).await?;
    found.ok_or_else(|| not_found(target.resource, &target.name))?;
    let message = "this server issues no ServiceAccount tokens yet: use a client certificate of the cluster's CA";
    Err(Status::new(501, "NotImplemented", message))
}
