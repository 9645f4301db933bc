//! DELETE of one object (`rest.BeforeDelete` and `Store.Delete`).

mod plan;

use api::resource::Part;
use api::status::Status;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admission;
use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::codec;
use crate::decode;
use crate::options::DeleteOptions;
use crate::reply::Reply;
use crate::reserve::Reservation;
use crate::routes::Target;
use crate::write::{Old, ROUNDS, Round, Write, Written};
use plan::{Plan, plan};

pub(crate) async fn delete(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let options = options(call)?;
    admission::delete(target.resource, &target.name)?;
    let Deleted { written, gone, uid } = remove(api, call, target, &options).await?;
    let shows_object = !gone || target.resource.strategy.rules().delete_returns_object;
    if shows_object {
        return Ok(Reply::either(200, view.form.yaml, view.one(&written.json)?));
    }
    let success = success(target, &uid).to_string();
    Ok(Reply::either(200, view.form.yaml, success.into()))
}

/// The options, from the body if there is one, else from the parameters.
pub(crate) fn options(call: &Call) -> Result<DeleteOptions, Status> {
    if call.body.is_empty() {
        DeleteOptions::from_query(&call.query)
    } else {
        DeleteOptions::from_body(&decode::delete_options(call)?)
    }
}

/// What became of the object.
pub(crate) struct Deleted {
    pub(crate) written: Written,
    /// It is no longer there.
    pub(crate) gone: bool,
    pub(crate) uid: String,
}

/// Deletes, or marks what may not go yet.
pub(crate) async fn remove(
    api: &Api,
    call: &Call,
    target: &Target,
    options: &DeleteOptions,
) -> Result<Deleted, Status> {
    let part = Part::Main;
    let write = Write {
        api,
        call,
        target,
        part,
        dry_run: options.dry_run,
        manager: "",
    };
    let mut options = options.clone();
    let mut marked: Option<Deleted> = None;
    for attempt in 0..ROUNDS {
        let old = api.current(target, &target.name).await?;
        let Some(old) = old else {
            // Whoever saw our mark, as the node of a pod that has ended does, may have been faster.
            return marked.ok_or_else(|| not_found(target.resource, &target.name));
        };
        let uid = old.object["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if marked.as_ref().is_some_and(|marked| marked.uid != uid) {
            // Gone as well, and the name is another object's by now.
            return marked.ok_or_else(|| not_found(target.resource, &target.name));
        }
        let plan = plan(target.resource, &old.object, &options, Timestamp::now())?;
        if let Plan::MarkFirst(object) = &plan
            && !write.dry_run
        {
            if let Some(written) = mark_first(&write, &old, object).await? {
                // The condition held for what was marked; the mark is a version of our own.
                options.resource_version = None;
                let gone = true;
                marked = Some(Deleted { written, gone, uid });
            }
            continue;
        }
        let (round, gone) = carry_out(&write, &old, plan, attempt).await?;
        if let Round::Done(written) = round {
            let written = write.shown(written);
            return Ok(Deleted { written, gone, uid });
        }
    }
    Err(write.modified(&target.name))
}

/// Stores the mark of an object that goes at once; `None` when somebody else wrote it meanwhile.
async fn mark_first(
    write: &Write<'_>,
    old: &Old,
    object: &Value,
) -> Result<Option<Written>, Status> {
    let name = old.stored.name();
    let marked = write.commit_put(Some(&old.stored), name, object, Reservation::default());
    Ok(match marked.await? {
        Round::Done(written) => Some(written),
        Round::Lost => None,
    })
}

async fn carry_out(
    write: &Write<'_>,
    old: &Old,
    plan: Plan,
    attempt: u32,
) -> Result<(Round, bool), Status> {
    match plan {
        Plan::Nothing => Ok((Round::done(old.stored.json().clone()), false)),
        // Dry: in earnest the mark is stored before this is asked.
        Plan::MarkFirst(object) => {
            let json = codec::with_revision(&codec::encode(&object), old.stored.revision());
            Ok((Round::done(json), true))
        }
        Plan::Mark(object) if object == old.object => {
            Ok((Round::done(old.stored.json().clone()), false))
        }
        Plan::Mark(object) => {
            let name = old.stored.name().to_owned();
            let round = write.commit_put(Some(&old.stored), &name, &object, Reservation::default());
            Ok((round.await?, false))
        }
        Plan::Remove(shown) => {
            let old = Old {
                stored: old.stored.clone(),
                object: shown,
            };
            Ok((write.commit_delete(&old, None, attempt).await?, true))
        }
    }
}

fn success(target: &Target, uid: &str) -> Value {
    let resource = target.resource;
    let mut details = json!({"name": target.name, "kind": resource.plural, "uid": uid});
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })
}
