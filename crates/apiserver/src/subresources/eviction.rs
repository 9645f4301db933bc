//! POST of an Eviction: a deletion that a disruption budget may refuse (`registry/core/pod/storage/eviction.go`).

mod budget;

use api::resource::Part;
use api::schema::{Kind, Validation};
use api::status::Status;
use serde_json::{Value, json};

use crate::api_state::{Api, not_found, now};
use crate::call::Call;
use crate::decode;
use crate::options::DeleteOptions;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::delete;
use crate::write::{Wanted, Write};

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
    let said = eviction["metadata"]["name"].as_str().unwrap_or_default();
    if said != target.name {
        let text = "name in URL does not match name in Eviction object";
        return Err(Status::bad_request(text));
    }
    let pod = api.existing(target).await?;
    if !goes_anyway(&pod.object) {
        budget::charge(api, call, target, &pod.object, options.dry_run).await?;
    }
    if !options.dry_run {
        say_why(api, call, target).await?;
    }
    delete::remove(api, call, target, &options).await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Reply::value(201, &status))
}

/// A pod that has ended, has not begun or is going already serves nobody whom a budget protects.
fn goes_anyway(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    matches!(phase, "Succeeded" | "Failed" | "Pending")
        || !pod["metadata"]["deletionTimestamp"].is_null()
}

/// Notes on the pod why it goes.
async fn say_why(api: &Api, call: &Call, target: &Target) -> Result<(), Status> {
    let write = Write {
        api,
        call,
        target,
        part: Part::Sub("status"),
        dry_run: false,
        manager: "",
    };
    let written = write.run(&target.name, |old| {
        let old = old.ok_or_else(|| not_found(target.resource, &target.name))?;
        let mut object = old.object.clone();
        let had = object["status"]["conditions"].as_array().cloned();
        let mut conditions = had.unwrap_or_default();
        conditions.retain(|condition| condition["type"] != "DisruptionTarget");
        conditions.push(
            json!({"type": "DisruptionTarget", "status": "True", "lastTransitionTime": now(),
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}),
        );
        object["status"]["conditions"] = conditions.into();
        Ok(Wanted {
            object,
            managed: false,
        })
    });
    written.await.map(|_| ())
}
