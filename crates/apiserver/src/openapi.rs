//! OpenAPI, made at the first request and kept compressed.

use std::sync::Arc;

use api::status::Status;

use crate::api_state::Api;
use crate::call::Call;
use crate::reply::Reply;

pub(crate) async fn serve(_api: &Arc<Api>, _call: &Call, _parts: &[&str]) -> Result<Reply, Status> {
    Err(crate::dispatch::nothing_here())
}
