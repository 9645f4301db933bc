//! POST of an Eviction: a deletion that a disruption budget could refuse; there are none here yet.

use api::schema::{Kind, Validation};
use api::status::Status;
use serde_json::json;

use crate::api_state::Api;
use crate::call::Call;
use crate::decode;
use crate::options::DeleteOptions;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::delete;

const EVICTION: Kind<'static> = Kind {
    group: "policy",
    version: "v1",
    kind: "Eviction",
    definition: "io.k8s.api.policy.v1.Eviction",
};

pub(crate) async fn create(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let eviction = decode::kind(call, &EVICTION, Validation::Warn)?;
    let mut options = DeleteOptions::from_body(&eviction["deleteOptions"])?;
    options.dry_run |= call.query.text("dryRun") == "All";
    delete::remove(api, call, target, &options).await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Reply::value(201, &status))
}
