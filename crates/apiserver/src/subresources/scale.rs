//! `scale`: how many replicas there shall be, the same for every kind that has replicas.

use api::field::{Path, Problem, Problems};
use api::managed_fields::{self, ApplyOptions, Writer, scale as scale_fields};
use api::resource::{Part, Verb};
use api::schema::{Kind, Validation};
use api::status::Status;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::decode;
use crate::options::WriteOptions;
use crate::patches::{self, Patch};
use crate::render::View;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs;
use crate::verbs::create::place;
use crate::verbs::patch::{own_problems, patch_kind};
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
    let view = View {
        resource: &api::scale::RESOURCE,
        ..verbs::view(call, target)?
    };
    let reply = |object: &Value| {
        let json = Bytes::from(scale(object).to_string());
        let shown = view.one(&json)?;
        Ok(Reply::either(200, view.form.yaml, shown))
    };
    if verb == Verb::Get {
        return reply(&api.existing(target).await?.object);
    }
    let patch = match verb {
        Verb::Patch => Some(patch_kind(call)?),
        _ => None,
    };
    let (kind, own) = match patch {
        Some(patch) => ("PatchOptions", own_problems(call, patch)),
        None => ("UpdateOptions", Problems::new()),
    };
    let options = WriteOptions::read(call, kind, own)?;
    let (dry_run, manager) = (options.dry_run, options.manager.as_str());
    let write = Write {
        api,
        call,
        target,
        part: Part::Sub("scale"),
        dry_run,
        manager,
    };
    let wish = match patch {
        Some(patch) => Wish::Patch(patch),
        None => {
            let mut sent = decode::kind(call, &SCALE, options.validation)?;
            place(target, &mut sent)?;
            check_name(target, &sent)?;
            Wish::Whole(sent)
        }
    };
    let written = write
        .run(&target.name, |old| {
            wanted(&write, &wish, old, options.validation)
        })
        .await?;
    let object: Value = serde_json::from_slice(&written.json).unwrap_or_default();
    reply(&object)
}

/// What a request says of the Scale.
enum Wish {
    Whole(Value),
    Patch(Patch),
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
    wish: &Wish,
    old: Option<&Old>,
    validation: Validation,
) -> Result<Wanted, Status> {
    let target = write.target;
    let old = old.ok_or_else(|| not_found(target.resource, &target.name))?;
    let asked = asked(write, wish, &old.object, validation)?;
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
    let version = target.resource.api_version();
    let entries = scale_fields::of_parent(managers(&old.object), managers(&asked), &version);
    object["metadata"]["managedFields"] = entries.into();
    Ok(Wanted {
        object,
        managed: true,
    })
}

/// The Scale that the request wants, with its managed fields.
fn asked(
    write: &Write<'_>,
    wish: &Wish,
    old: &Value,
    validation: Validation,
) -> Result<Value, Status> {
    let call = write.call;
    let mut before = scale(old);
    let writer = Writer {
        manager: write.manager,
        api_version: "autoscaling/v1",
        subresource: "scale",
        now: Timestamp::now(),
        reset: &[],
    };
    let entries = scale_fields::of_scale(managers(old), &write.target.resource.api_version());
    let mut wanted = match wish {
        Wish::Patch(Patch::Apply) => {
            before["metadata"]["managedFields"] = entries.into();
            let force = call.query.flag("force") == Some(true);
            let options = ApplyOptions { force, validation };
            let applied =
                managed_fields::apply(&SCALE, Some(&before), &call.body, options, &writer)?;
            return Ok(applied.object);
        }
        Wish::Patch(patch) => {
            let decoded = patches::patch(*patch, &SCALE, &before, &call.body, validation)?;
            for text in decoded.warnings {
                call.warn(text);
            }
            decoded.object
        }
        Wish::Whole(sent) => sent.clone(),
    };
    before["metadata"]["managedFields"] = entries.into();
    managed_fields::update(SCALE.definition, Some(&before), &mut wanted, &writer);
    Ok(wanted)
}

fn managers(object: &Value) -> &[Value] {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.map_or(&[], Vec::as_slice)
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
