//! POST to a collection.

use api::field::Problems;
use api::resource::Part;
use api::status::Status;
use serde_json::Value;

use crate::api_state::Api;
use crate::call::Call;
use crate::decode;
use crate::options::WriteOptions;
use crate::reply::Reply;
use crate::routes::Target;
use crate::write::Write;

pub(crate) async fn create(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let options = WriteOptions::read(call, "CreateOptions", Problems::new())?;
    let mut object = decode::object(call, target.resource, options.validation)?;
    place(target, &mut object)?;
    let (dry_run, manager) = (options.dry_run, options.manager.as_str());
    let write = Write {
        api,
        call,
        target,
        part: Part::Main,
        dry_run,
        manager,
    };
    let written = write.create(&object).await?;
    Ok(Reply::either(201, view.form.yaml, view.one(&written.json)?))
}

/// Puts the object into the namespace of the path.
///
/// # Errors
/// 400, when it says that it belongs elsewhere.
pub(crate) fn place(target: &Target, object: &mut Value) -> Result<(), Status> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(serde_json::Map::new());
    }
    let metadata = object["metadata"]
        .as_object_mut()
        .expect("it was just made an object");
    if !target.resource.namespaced {
        metadata.remove("namespace");
        return Ok(());
    }
    let said = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if said.is_empty() {
        metadata.insert("namespace".to_owned(), target.namespace.clone().into());
        return Ok(());
    }
    if said == target.namespace {
        return Ok(());
    }
    let text =
        "the namespace of the provided object does not match the namespace sent on the request";
    Err(Status::bad_request(text))
}
