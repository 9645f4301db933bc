//! `attach`, `exec` and `portforward`: what is wrong with such a request before a stream would begin.

use api::status::Status;

use super::log::container;
use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::reply::Reply;
use crate::routes::Target;

/// Says why there will be no stream.
pub(crate) async fn refuse(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let old = api.current(target, &target.name).await?;
    let pod = old
        .ok_or_else(|| not_found(target.resource, &target.name))?
        .object;
    if target.subresource != "portforward" {
        container(&pod, call.query.text("container"), &target.name)?;
    }
    if pod["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        let text = format!("pod {} does not have a host assigned", target.name);
        return Err(Status::bad_request(text));
    }
    Err(super::not_yet(target, &target.subresource))
}
