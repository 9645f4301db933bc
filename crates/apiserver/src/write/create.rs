//! A round that creates (`rest.BeforeCreate` and `Store.create`).

use api::status::Status;
use api::validation::metadata;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::owners::Moment;
use super::{Round, Wanted, Write};
use crate::admission;
use crate::api_state::now;
use crate::fields;
use crate::quota;
use crate::reserve::WriteContext;

/// A generated name is cut here, so that five characters follow within a label's length.
const PREFIX_LENGTH: usize = 58;

/// Letters and digits that cannot be mistaken for each other or make words (`util/rand`).
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Write<'_> {
    pub(super) async fn create_round(&self, wanted: Wanted, attempt: u32) -> Result<Round, Status> {
        let (resource, strategy) = (self.target.resource, self.target.resource.strategy);
        let mut object = wanted.object;
        wipe(&mut object);
        strategy.set_defaults(&mut object);
        self.drop_repeated_owners(&mut object, Moment::Sent);
        if !wanted.managed {
            fields::update(self, None, &mut object);
        }
        fill(&mut object, strategy.rules().random_names);
        admission::create(self, &mut object)?;
        self.drop_repeated_owners(&mut object, Moment::Admitted);
        let context = WriteContext {
            resource,
            part: self.part,
            old: None,
            new: Some(&mut object),
            dry_run: self.dry_run,
            attempt,
        };
        let reservation = self.api.reserve(context).await?;
        let rules = strategy.rules();
        if rules.has_generation {
            object["metadata"]["generation"] = json!(1);
        }
        strategy.prepare_for_create(&mut object);
        self.validate_create(&object)?;
        admission::check(self, &object, None)?;
        for text in strategy.warnings(self.part, &object, None) {
            self.call.warn(text);
        }
        strategy.canonicalize(&mut object);
        refuse_version(&object)?;
        let reservation = quota::admit(self, None, &object, reservation).await?;
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if let Some(status) = self.exists(&name) {
            return Err(status);
        }
        self.commit_put(None, &name, &object, reservation).await
    }

    fn validate_create(&self, object: &Value) -> Result<(), Status> {
        let resource = self.target.resource;
        let mut problems = resource.strategy.validate_create(object);
        if problems.is_empty() {
            problems = metadata::any_new_object(object, resource.namespaced);
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(self.invalid(object, &problems))
    }

    /// 409, when the name is taken.
    fn exists(&self, name: &str) -> Option<Status> {
        let resource = self.target.resource;
        let cache = self.api.registry.of(resource);
        let found = cache.get(&self.target.namespace, name)?;
        let going = !found.value()["metadata"]["deletionTimestamp"].is_null();
        let status = Status::already_exists(resource.group, resource.plural, name);
        let prefix = if going {
            "object is being deleted: "
        } else {
            ""
        };
        let message = format!("{prefix}{}", status.message);
        Some(Status { message, ..status })
    }
}

/// What a client may not say about a new object.
fn wipe(object: &mut Value) {
    let metadata = members(object);
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        metadata.remove(field);
    }
    if metadata
        .get("resourceVersion")
        .is_some_and(|version| version == "0")
    {
        metadata.remove("resourceVersion");
    }
}

fn fill(object: &mut Value, random: bool) {
    let metadata = members(object);
    metadata.insert("uid".to_owned(), Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".to_owned(), now().into());
    let text = |field: &str| {
        metadata
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let prefix = text("generateName");
    if text("name").is_empty() && !prefix.is_empty() {
        let name = if random {
            generated(prefix)
        } else {
            prefix.to_owned()
        };
        metadata.insert("name".to_owned(), name.into());
    }
}

fn generated(prefix: &str) -> String {
    let mut end = prefix.len().min(PREFIX_LENGTH);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let letter = || {
        let index = rand::random_range(0..NAME_LETTERS.len());
        char::from(NAME_LETTERS[index])
    };
    prefix[..end]
        .chars()
        .chain((0..5).map(|_| letter()))
        .collect()
}

/// Only a version that is a number is told from none.
fn refuse_version(object: &Value) -> Result<(), Status> {
    let sent = object["metadata"]["resourceVersion"].as_str();
    if sent.is_none_or(|version| version.parse::<u64>().is_err()) {
        return Ok(());
    }
    let text = "resourceVersion should not be set on objects to be created";
    Err(Status::untyped(text))
}

/// The object's metadata, made if it is not there.
fn members(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"]
        .as_object_mut()
        .expect("it was just made an object")
}
