//! A round that changes what is stored (`rest.BeforeUpdate` and `Store.Update`).

use api::resource::Part;
use api::status::Status;
use api::validation::metadata;
use serde_json::{Value, json};

use super::owners::Moment;
use super::{Old, Round, Wanted, Write};
use crate::admission;
use crate::fields;
use crate::quota;
use crate::reserve::WriteContext;

impl Write<'_> {
    pub(super) async fn update_round(
        &self,
        old: Old,
        wanted: Wanted,
        attempt: u32,
    ) -> Result<Round, Status> {
        let (resource, strategy) = (self.target.resource, self.target.resource.strategy);
        let mut object = wanted.object;
        strategy.set_defaults(&mut object);
        self.drop_repeated_owners(&mut object, Moment::Sent);
        if !wanted.managed {
            fields::update(self, Some(&old.object), &mut object);
        }
        admission::update(self, &mut object, &old.object);
        self.drop_repeated_owners(&mut object, Moment::Admitted);
        self.settle_version(&old, &mut object)?;
        let seen = self.seen(&old);
        let before = seen.as_ref().unwrap_or(&old.object);
        let context = WriteContext {
            resource,
            part: self.part,
            old: Some(before),
            new: Some(&mut object),
            dry_run: self.dry_run,
            attempt,
        };
        let reservation = self.api.reserve(context).await?;
        keep(&mut object, before, "generation", true);
        strategy.prepare_for_update(self.part, &mut object, before);
        self.finish_metadata(&mut object, before);
        self.validate_update(&object, before)?;
        admission::check(self, &object, Some(before))?;
        for text in strategy.warnings(self.part, &object, Some(before)) {
            self.call.warn(text);
        }
        strategy.canonicalize(&mut object);
        fields::keep_times(&old.object, &mut object);
        let name = old.stored.name().to_owned();
        if goes_with_update(&object, &old.object) {
            drop(reservation);
            return self.commit_delete(&old, Some(&object), attempt).await;
        }
        if object == old.object {
            return Ok(Round::done(old.stored.raw().clone()));
        }
        let reservation = if quota::concerns(self.part) {
            quota::admit(self, Some(&old.object), &object, reservation).await?
        } else {
            reservation
        };
        self.commit_put(Some(&old.stored), &name, &object, reservation)
            .await
    }

    /// A whole update sees the old object as readers do; a subresource's sees what is stored.
    fn seen(&self, old: &Old) -> Option<Value> {
        match self.part {
            Part::Main => self.target.resource.strategy.shown(&old.object),
            Part::Sub(_) => None,
        }
    }

    /// The version that was sent is a condition; without one the stored version is meant, where the kind allows.
    fn settle_version(&self, old: &Old, object: &mut Value) -> Result<(), Status> {
        let resource = self.target.resource;
        let sent = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        let version = parse_version(sent)?;
        let name = old.stored.name();
        match version {
            0 if resource.strategy.rules().unconditional_update => {
                object["metadata"]["resourceVersion"] =
                    old.object["metadata"]["resourceVersion"].clone();
                Ok(())
            }
            0 => {
                let field = api::field::Path::new("metadata.resourceVersion");
                let detail = "must be specified for an update";
                let problem = api::field::Problem::invalid(field, 0, detail);
                Err(Status::invalid(
                    resource.group,
                    resource.plural,
                    name,
                    &[problem],
                ))
            }
            _ if version == old.stored.revision().0 => Ok(()),
            _ => Err(self.modified(name)),
        }
    }

    fn finish_metadata(&self, object: &mut Value, old: &Value) {
        for field in ["uid", "deletionGracePeriodSeconds"] {
            keep(object, old, field, false);
        }
        for field in ["creationTimestamp", "deletionTimestamp"] {
            if !old["metadata"][field].is_null() {
                keep(object, old, field, true);
            }
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("selfLink");
        }
        let rules = self.target.resource.strategy.rules();
        if rules.has_generation && self.part == Part::Main && object["spec"] != old["spec"] {
            let before = old["metadata"]["generation"].as_i64().unwrap_or_default();
            object["metadata"]["generation"] = json!(before + 1);
        }
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Result<(), Status> {
        let resource = self.target.resource;
        let strategy = resource.strategy;
        let mut problems = metadata::any_update(object, old, resource.namespaced);
        problems.extend(strategy.validate_update(self.part, object, old));
        if problems.is_empty() {
            return Ok(());
        }
        Err(self.invalid(object, &problems))
    }
}

/// Takes a field of the metadata from the stored object, over what was sent or only where nothing was.
fn keep(object: &mut Value, old: &Value, field: &str, over: bool) {
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    if !over && metadata.get(field).is_some_and(|value| !value.is_null()) {
        return;
    }
    match &old["metadata"][field] {
        Value::Null => {
            metadata.remove(field);
        }
        value => {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
}

/// Whether the last finalizer of an object that is going away was taken off.
fn goes_with_update(object: &Value, old: &Value) -> bool {
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let metadata = &old["metadata"];
    let at_once = metadata["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or_default()
        == 0;
    let is_namespace = object["kind"] == "Namespace" && object["apiVersion"] == "v1";
    none(&object["metadata"]["finalizers"])
        && !metadata["deletionTimestamp"].is_null()
        && at_once
        && (!is_namespace || none(&object["spec"]["finalizers"]))
}

/// A resourceVersion as a number; empty is zero.
pub(crate) fn parse_version(text: &str) -> Result<u64, Status> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        Status::untyped(format!(
            "strconv.ParseUint: parsing \"{text}\": invalid syntax"
        ))
    })
}
