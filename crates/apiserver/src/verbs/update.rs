//! PUT: the whole object, or one of its parts.

use api::field::Problems;
use api::resource::Resource;
use api::status::Status;
use serde_json::Value;

use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::decode;
use crate::options::WriteOptions;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::create::place;
use crate::write::{Old, Wanted, Write};

pub(crate) async fn update(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let options = WriteOptions::read(call, "UpdateOptions", Problems::new())?;
    let mut object = decode::object(call, target.resource, options.validation)?;
    place(target, &mut object)?;
    check_name(target, &object)?;
    let part = super::part(target);
    let (dry_run, manager) = (options.dry_run, options.manager.as_str());
    let write = Write {
        api,
        call,
        target,
        part,
        dry_run,
        manager,
    };
    let written = write
        .run(&target.name, |old| wanted(target, old, &object))
        .await?;
    let code = if written.created { 201 } else { 200 };
    Ok(Reply::either(
        code,
        view.form.yaml,
        view.one(&written.json)?,
    ))
}

fn wanted(target: &Target, old: Option<&Old>, object: &Value) -> Result<Wanted, Status> {
    let creates = target.resource.strategy.rules().create_on_update;
    if old.is_none() && !creates {
        return Err(not_found(target.resource, &target.name));
    }
    let stored = old.map_or("", |old| {
        old.object["metadata"]["uid"].as_str().unwrap_or_default()
    });
    let sent = object["metadata"]["uid"].as_str().unwrap_or_default();
    if !sent.is_empty() && sent != stored {
        return Err(other_uid(target, sent, stored));
    }
    Ok(Wanted {
        object: object.clone(),
        managed: false,
    })
}

/// 409 in the words of the storage layer.
pub(crate) fn other_uid(target: &Target, sent: &str, stored: &str) -> Status {
    let resource = target.resource;
    let place = if resource.namespaced {
        format!("{}/", target.namespace)
    } else {
        String::new()
    };
    // Upstream's storage of scales does not know its own prefix.
    let root = match target.subresource.as_str() {
        "scale" => "",
        _ => "/registry",
    };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {root}/{}/{place}{}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {sent}, UID in object meta: {stored}",
        upstream_place(resource),
        target.name,
    );
    Status::conflict(resource.group, resource.plural, &target.name, &why)
}

/// Where upstream keeps a kind, as its message shows it (`pkg/kubeapiserver/default_storage_factory_builder.go`).
fn upstream_place(resource: &Resource) -> &'static str {
    match (resource.group, resource.plural) {
        ("", "services") => "services/specs",
        ("", "endpoints") => "services/endpoints",
        ("", "nodes") => "minions",
        (_, plural) => plural,
    }
}

/// The object must be the one that the path names.
pub(crate) fn check_name(target: &Target, object: &Value) -> Result<(), Status> {
    let (path, said) = (
        &target.name,
        object["metadata"]["name"].as_str().unwrap_or_default(),
    );
    if said == path {
        return Ok(());
    }
    Err(Status::bad_request(if said.is_empty() {
        format!(
            "the name of the object ({path} based on URL) was undeterminable: name must be provided"
        )
    } else {
        format!("the name of the object ({said}) does not match the name on the URL ({path})")
    }))
}
