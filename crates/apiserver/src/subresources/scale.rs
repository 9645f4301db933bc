//! `scale`: how many replicas there shall be, the same for every kind that has replicas.

use api::field::{Path, Problem, Problems};
use api::resource::{Part, Verb};
use api::schema::{Kind, Validation};
use api::status::Status;
use serde_json::{Value, json};

use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::decode;
use crate::options::WriteOptions;
use crate::patches::{self, Patch};
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::update::{check_name, other_uid};
use crate::write::{Old, Wanted, Write};

const SCALE: Kind<'static> = Kind {
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    definition: "io.k8s.api.autoscaling.v1.Scale",
};

pub(crate) async fn serve(
    api: &Api,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Reply, Status> {
    if verb == Verb::Get {
        let old = api.current(target, &target.name).await?;
        let old = old.ok_or_else(|| not_found(target.resource, &target.name))?;
        return Ok(Reply::value(200, &scale(&old.object)));
    }
    let kind = if verb == Verb::Patch {
        "PatchOptions"
    } else {
        "UpdateOptions"
    };
    let options = WriteOptions::read(call, kind, Problems::new())?;
    let (dry_run, manager) = (options.dry_run, options.manager.as_str());
    let write = Write {
        api,
        call,
        target,
        part: Part::Sub("scale"),
        dry_run,
        manager,
    };
    let written = write
        .run(&target.name, |old| {
            wanted(&write, verb, old, options.validation)
        })
        .await?;
    let object: Value = serde_json::from_slice(&written.json).unwrap_or_default();
    Ok(Reply::value(200, &scale(&object)))
}

/// What a workload looks like as a Scale.
fn scale(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut shown = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {}, "spec": {},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or_default()},
    });
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if !metadata[field].is_null() {
            shown["metadata"][field] = metadata[field].clone();
        }
    }
    match object["spec"]["replicas"].as_i64().unwrap_or_default() {
        0 => {}
        replicas => shown["spec"]["replicas"] = replicas.into(),
    }
    let selector = selector_text(&object["spec"]["selector"]);
    if !selector.is_empty() {
        shown["status"]["selector"] = selector.into();
    }
    shown
}

fn wanted(
    write: &Write<'_>,
    verb: Verb,
    old: Option<&Old>,
    validation: Validation,
) -> Result<Wanted, Status> {
    let (call, target) = (write.call, write.target);
    let old = old.ok_or_else(|| not_found(target.resource, &target.name))?;
    let before = scale(&old.object);
    let asked = if verb == Verb::Update {
        decode::kind(call, &SCALE, validation)?
    } else {
        let kind = call
            .content_type()
            .ok()
            .and_then(|text| Patch::from_media_type(&text));
        let kind = kind.ok_or_else(|| decode::unsupported(patches::MEDIA_TYPES))?;
        patches::patch(kind, &SCALE, &before, &call.body, validation)?.object
    };
    check_name(target, &asked)?;
    let text = |field: &str| asked["metadata"][field].as_str().unwrap_or_default();
    let stored = old.object["metadata"]["uid"].as_str().unwrap_or_default();
    if !text("uid").is_empty() && text("uid") != stored {
        return Err(other_uid(target, text("uid"), stored));
    }
    let replicas = asked["spec"]["replicas"].as_i64().unwrap_or_default();
    if replicas < 0 {
        let detail = "must be greater than or equal to 0";
        let problem = Problem::invalid(Path::new("spec.replicas"), replicas, detail);
        return Err(Status::invalid(
            "autoscaling",
            "Scale",
            &target.name,
            &[problem],
        ));
    }
    let mut object = old.object.clone();
    object["spec"]["replicas"] = replicas.into();
    if !text("resourceVersion").is_empty() {
        object["metadata"]["resourceVersion"] = text("resourceVersion").into();
    }
    Ok(Wanted {
        object,
        managed: false,
    })
}

/// A LabelSelector in the form of a query parameter (`meta/v1.FormatLabelSelector`).
fn selector_text(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for rule in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = rule["key"].as_str().unwrap_or_default();
        let values = rule["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let mut values: Vec<&str> = values.collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match rule["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.sort();
    parts.join(",")
}
