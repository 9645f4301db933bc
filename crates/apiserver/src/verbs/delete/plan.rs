//! What a deletion does to an object: nothing, a mark, or its end. Pure.

use api::resource::Resource;
use api::status::Status;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api_state::time_text;
use crate::options::DeleteOptions;

/// The garbage collector's finalizers (`meta/v1`).
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// It is going away already, at least as fast.
    Nothing,
    /// Store this: it may not go yet.
    Mark(Value),
    /// Store this, as watchers of graceful kinds see it, and plan again: it goes at once.
    MarkFirst(Value),
    /// It goes now; this is its last form.
    Remove(Value),
}

pub(super) fn plan(
    resource: &Resource,
    old: &Value,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Plan, Status> {
    check_preconditions(resource, old, options)?;
    if resource.kind == "Namespace" && resource.group.is_empty() {
        return Ok(namespace(old, options, now));
    }
    let mut object = old.clone();
    let graceful = match grace(resource, &mut object, options, now) {
        Grace::Pending => return Ok(Plan::Nothing),
        Grace::Seconds(seconds) => Some(seconds),
        Grace::None => None,
    };
    let events = resource.kind == "Event";
    if !events {
        set_finalizers(&mut object, options);
    }
    let held = object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    Ok(match (graceful, held) {
        (Some(0), false) => Plan::MarkFirst(object),
        (Some(_), _) => Plan::Mark(object),
        (None, true) => {
            mark(&mut object, now);
            Plan::Mark(object)
        }
        // What is answered is what was stored: a finalizer that is dropped on the way is still shown.
        (None, false) => Plan::Remove(old.clone()),
    })
}

fn check_preconditions(
    resource: &Resource,
    old: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let metadata = &old["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    let refuse = |why: String| Err(Status::conflict(resource.group, resource.kind, name, &why));
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != text("uid")) {
        return refuse(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            text("uid")
        ));
    }
    let other = |version: &&str| *version != text("resourceVersion");
    if let Some(version) = options.resource_version.as_deref().filter(other) {
        return refuse(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            text("resourceVersion")
        ));
    }
    Ok(())
}

enum Grace {
    /// The kind, or this object, has no graceful deletion, or its time is over.
    None,
    /// It goes within these seconds; zero: at once.
    Seconds(i64),
    /// It is going already.
    Pending,
}

fn grace(
    resource: &Resource,
    object: &mut Value,
    options: &DeleteOptions,
    now: Timestamp,
) -> Grace {
    let asked = options
        .grace_seconds
        .map(|seconds| if seconds < 0 { 1 } else { seconds });
    let Some(usual) = resource.strategy.grace_seconds(object, asked) else {
        return Grace::None;
    };
    let metadata = &object["metadata"];
    let deleted_at = metadata["deletionTimestamp"]
        .as_str()
        .and_then(|t| t.parse().ok());
    let Some(deleted_at) = deleted_at else {
        begin(object, usual, now);
        return Grace::Seconds(usual);
    };
    let period = metadata["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or_default();
    match asked {
        _ if period == 0 => Grace::None,
        Some(asked) if asked < period => shorten(object, deleted_at, period, asked, now),
        _ => Grace::Pending,
    }
}

fn begin(object: &mut Value, seconds: i64, now: Timestamp) {
    let at = now + SignedDuration::from_secs(seconds);
    next_generation(object);
    object["metadata"]["deletionTimestamp"] = time_text(at).into();
    object["metadata"]["deletionGracePeriodSeconds"] = seconds.into();
}

fn shorten(
    object: &mut Value,
    deleted_at: Timestamp,
    period: i64,
    asked: i64,
    now: Timestamp,
) -> Grace {
    let (mut at, mut seconds) = (
        deleted_at - SignedDuration::from_secs(period - asked),
        asked,
    );
    if at < now {
        at = now;
        seconds = seconds.min(1);
    }
    object["metadata"]["deletionTimestamp"] = time_text(at).into();
    object["metadata"]["deletionGracePeriodSeconds"] = seconds.into();
    Grace::Seconds(seconds)
}

fn next_generation(object: &mut Value) {
    if let Some(generation) = object["metadata"]["generation"].as_i64().filter(|n| *n > 0) {
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

/// Marks what only its finalizers hold.
fn mark(object: &mut Value, now: Timestamp) {
    let metadata = &object["metadata"];
    let at: Option<Timestamp> = metadata["deletionTimestamp"]
        .as_str()
        .and_then(|t| t.parse().ok());
    if at.is_none() {
        next_generation(object);
    }
    if at.is_none_or(|at| at > now) {
        object["metadata"]["deletionTimestamp"] = time_text(now).into();
    }
    object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
}

/// The propagation policy becomes a finalizer that the garbage collector takes off.
fn set_finalizers(object: &mut Value, options: &DeleteOptions) {
    let list = object["metadata"]["finalizers"].as_array();
    let before: Vec<String> = list
        .into_iter()
        .flatten()
        .filter_map(|f| f.as_str().map(str::to_owned))
        .collect();
    let has = |name: &str| before.iter().any(|finalizer| finalizer == name);
    let first_of_both = before.iter().find(|f| *f == ORPHAN || *f == FOREGROUND);
    let (orphan, foreground) = match (options.orphan, options.propagation.as_deref()) {
        (Some(orphan), _) => (orphan, false),
        (None, Some("Orphan")) => (true, false),
        (None, Some("Foreground")) => (false, true),
        (None, Some(_)) => (false, false),
        (None, None) => (
            first_of_both.is_some_and(|f| f == ORPHAN),
            first_of_both.is_some_and(|f| f == FOREGROUND),
        ),
    };
    if has(ORPHAN) == orphan && has(FOREGROUND) == foreground {
        return;
    }
    let mut after: Vec<String> = before.clone();
    after.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    after.extend(orphan.then(|| ORPHAN.to_owned()));
    after.extend(foreground.then(|| FOREGROUND.to_owned()));
    if after.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("finalizers");
        }
    } else {
        object["metadata"]["finalizers"] = json!(after);
    }
}

/// A namespace is marked by the first deletion and goes with a later one, when nothing holds it any more
/// (`registry/core/namespace/storage`).
fn namespace(old: &Value, options: &DeleteOptions, now: Timestamp) -> Plan {
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    if !old["metadata"]["deletionTimestamp"].is_null() {
        let free = empty(&old["spec"]["finalizers"]) && empty(&old["metadata"]["finalizers"]);
        return if free {
            Plan::Remove(old.clone())
        } else {
            Plan::Nothing
        };
    }
    let mut object = old.clone();
    object["metadata"]["deletionTimestamp"] = time_text(now).into();
    object["status"]["phase"] = "Terminating".into();
    set_finalizers(&mut object, options);
    Plan::Mark(object)
}

#[cfg(test)]
mod tests;
