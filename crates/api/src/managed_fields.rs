//! Who owns which fields: `metadata.managedFields`, and server-side apply by it.
//!
//! Every write goes through [`update`] or [`apply`]. An object's managers are a map from a manager to a set
//! of paths (`set.rs`); a write compares the object before and after (`compare.rs`), gives the changed
//! paths to the writer and takes them from all others (`updater.rs`). An apply is a merge of the
//! configuration into the object (`merge.rs`), from which the paths are taken out that the same manager
//! applied before and no longer does. All of it goes by the schema table (`shape.rs`).
//!
//! The rules are those of `structured-merge-diff` and `apimachinery/pkg/util/managedfields` (KEP-555).

mod compare;
mod conflict;
mod fields;
mod managers;
mod merge;
pub mod scale;
mod set;
mod shape;
mod updater;
mod validate;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::compare::Comparison;
use self::conflict::Conflicts;
use self::managers::{Manager, Managers, Owned};
use self::set::{Element, Set};
use self::shape::Shape;
use self::updater::Write;
use crate::schema::table::{Definition, definition};
use crate::schema::{self, Kind, Validation, time, yaml};
use crate::status::Status;

/// What kubectl keeps of client-side apply.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Owns what was there when an untracked object is first applied to.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, and where.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The `fieldManager` parameter, or the User-Agent up to its first slash.
    pub manager: &'a str,
    /// The version of the endpoint: `v1`, `apps/v1`.
    pub api_version: &'a str,
    /// `status`; empty for the object itself.
    pub subresource: &'a str,
    /// Now.
    pub now: Timestamp,
    /// Dotted paths that the endpoint resets, such as `status` for the object itself.
    pub reset: &'a [&'a str],
}

/// What an apply gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The merged object, canonical, with managed fields and without new defaults.
    pub object: Value,
    /// Texts for Warning headers.
    pub warnings: Vec<String>,
}

/// Sets `metadata.managedFields` of an object that a create, update or patch is about to write. `new` has its
/// defaults but nothing that the server allocates; `old` is the live object, `None` on create.
pub fn update(definition_name: &str, old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let Some(known) = definition(definition_name) else {
        return;
    };
    let mut managers = managers_for_update(old, new, writer);
    let created = old.is_none();
    let live = without_managed_fields(old, known);
    set_managed_fields(new, None);
    if !managers.0.is_empty() || created {
        write_update(known, &live, new, &mut managers, writer);
    }
    set_managed_fields(new, Some(&managers));
}

/// Applies a configuration (YAML or JSON) to the live object, `None` when there is none yet.
pub fn apply(
    kind: &Kind<'_>,
    current: Option<&Value>,
    config: &[u8],
    options: ApplyOptions,
    writer: &Writer<'_>,
) -> Result<Applied, Status> {
    let read = read_config(config)?;
    let config = &read.value;
    check_config(kind, config)?;
    let known = definition(kind.definition).ok_or_else(|| {
        Status::bad_request(schema::not_registered_text(kind.kind, &kind.api_version()))
    })?;
    let entries = current.map_or(&[][..], managed_fields);
    let managers = Managers::read(entries)
        .map_err(|error| Status::untyped(format!("failed to decode managed fields: {error}")))?;
    let live = without_managed_fields(current, known);
    let state = State {
        kind,
        known,
        live,
        writer,
        exists: current.is_some(),
    };
    let object = state.apply(config, managers, options.force)?;
    let warnings = read.warnings(options.validation)?;
    Ok(Applied { object, warnings })
}

/// How to apply.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOptions {
    /// Take what others own.
    pub force: bool,
    /// What becomes of repeated fields.
    pub validation: Validation,
}

/// When a write changes nothing but the times of managed fields, puts the old ones back: it is no write then.
pub fn keep_times_of_no_change(old: &Value, new: &mut Value) {
    if without_times_equal(old, new)
        && let Some(Value::Object(metadata)) = new.get_mut("metadata")
    {
        match old["metadata"].get("managedFields") {
            Some(entries) => metadata.insert("managedFields".to_owned(), entries.clone()),
            None => metadata.remove("managedFields"),
        };
    }
}

/// Whether two objects differ at most in the times of their managed fields.
pub fn without_times_equal(old: &Value, new: &Value) -> bool {
    let timeless = |object: &Value| -> Vec<Value> {
        let mut entries = managed_fields(object).to_vec();
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        entries.sort_by_cached_key(Value::to_string);
        entries
    };
    let bare = |object: &Value| {
        let mut object = object.clone();
        set_managed_fields(&mut object, None);
        object
    };
    timeless(old) == timeless(new) && bare(old) == bare(new)
}

/// The managers before an update: the request's own, where it may say so, else the live object's.
fn managers_for_update(old: Option<&Value>, new: &Value, writer: &Writer<'_>) -> Managers {
    let of_live = || Managers::read(old.map_or(&[][..], managed_fields)).unwrap_or_default();
    if !writer.subresource.is_empty() {
        return of_live();
    }
    let entries = managed_fields(new);
    if let [only] = entries
        && only.as_object().is_some_and(Map::is_empty)
    {
        return Managers::default();
    }
    match Managers::read(entries) {
        Ok(managers) if !managers.0.is_empty() => managers,
        _ => of_live(),
    }
}

fn write_update(
    known: &'static Definition,
    live: &Value,
    new: &Value,
    managers: &mut Managers,
    writer: &Writer<'_>,
) {
    let ignored = reset_paths(writer.reset);
    let write = Write {
        shape: Shape::object(known),
        live,
        ignored: &ignored,
        api_version: writer.api_version,
    };
    let owned = write.update(new, managers).difference(&stripped());
    if !owned.is_empty() {
        let manager = Manager::new(
            false,
            writer.manager,
            writer.api_version,
            writer.subresource,
        );
        let before = managers.0.get(&manager).map(|before| before.set.clone());
        let owned = Owned {
            set: owned.union(&before.unwrap_or_default()),
            api_version: writer.api_version.to_owned(),
            time: Some(time::print_time(writer.now)),
        };
        managers.0.insert(manager, owned);
    }
    managers.cap();
}

/// An apply under way.
struct State<'a> {
    kind: &'a Kind<'a>,
    known: &'static Definition,
    /// The object before, without managed fields; an empty one when there was none.
    live: Value,
    writer: &'a Writer<'a>,
    exists: bool,
}

impl State<'_> {
    fn apply(&self, config: &Value, mut managers: Managers, force: bool) -> Result<Value, Status> {
        if managers.0.is_empty() && self.exists {
            let empty = without_managed_fields(None, self.known);
            let writer = Writer {
                manager: BEFORE_FIRST_APPLY,
                ..*self.writer
            };
            write_update(self.known, &empty, &self.live, &mut managers, &writer);
        }
        if !config["metadata"]["managedFields"].is_null() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        validate::validate(Shape::object(self.known), config).map_err(|error| {
            let name = self.name(config);
            Status::untyped(format!(
                "failed to create typed patch object ({name}): {error}"
            ))
        })?;
        let merged = match self.merge(config, &mut managers.clone(), force) {
            Err(conflicts) if self.writer.manager == "kubectl" => {
                self.merge_after_client_side(config, conflicts, managers)?
            }
            Err(conflicts) => return Err(conflicts.status()),
            Ok(_) => self.merged(config, managers, force)?,
        };
        self.finish(config, merged)
    }

    fn merged(
        &self,
        config: &Value,
        mut managers: Managers,
        force: bool,
    ) -> Result<(Option<Value>, Managers), Status> {
        let merged = self.merge(config, &mut managers, force);
        merged
            .map(|merged| (merged, managers))
            .map_err(|conflicts| conflicts.status())
    }

    fn merge(
        &self,
        config: &Value,
        managers: &mut Managers,
        force: bool,
    ) -> Result<Option<Value>, Conflicts> {
        let writer = self.writer;
        let ignored = reset_paths(writer.reset);
        let write = Write {
            shape: Shape::object(self.known),
            live: &self.live,
            ignored: &ignored,
            api_version: writer.api_version,
        };
        let manager = Manager::new(true, writer.manager, writer.api_version, writer.subresource);
        let merged = write.apply(config, managers, &manager, force)?;
        if let Some(owned) = managers.0.get_mut(&manager) {
            owned.set = owned.set.difference(&stripped());
            if merged.is_some() {
                owned.time = Some(time::print_time(writer.now));
            }
        }
        managers.0.retain(|_, owned| !owned.set.is_empty());
        Ok(merged)
    }

    /// kubectl's first server-side apply takes over what its client-side apply has left as it was.
    fn merge_after_client_side(
        &self,
        config: &Value,
        conflicts: Conflicts,
        managers: Managers,
    ) -> Result<(Option<Value>, Managers), Status> {
        let Some(allowed) = self.applied_client_side() else {
            return Err(conflicts.status());
        };
        if conflicts.paths().difference(&allowed).is_empty() {
            return self.merged(config, managers, true);
        }
        match conflicts.without(&allowed) {
            Some(conflicts) => Err(conflicts.status()),
            None => self.merged(config, managers, true),
        }
    }

    /// What the annotation of client-side apply says and the live object still has.
    fn applied_client_side(&self) -> Option<Set> {
        let text = self.live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
        let last: Value = serde_json::from_str(text).ok()?;
        let shape = Shape::object(self.known);
        let same_version = last["apiVersion"] == self.writer.api_version;
        if !same_version || validate::validate(shape, &last).is_err() {
            return None;
        }
        let changes = Comparison::of(shape, &last, &self.live);
        let set = fields::of(shape, &last);
        let set = set.difference(&changes.modified).difference(&changes.added);
        Some(set.difference(&changes.removed))
    }

    fn finish(
        &self,
        config: &Value,
        (merged, managers): (Option<Value>, Managers),
    ) -> Result<Value, Status> {
        let mut object = merged.unwrap_or_else(|| self.live.clone());
        schema::convert(self.known, &mut object).map_err(|error| {
            let name = self.name(config);
            let text = "failed to convert new object";
            let why = "unable to convert unstructured object to";
            let kind = gvk(config);
            Status::untyped(format!(
                "{text} ({name}) to proper version: {why} {kind}: {error}"
            ))
        })?;
        if self.writer.manager == "kubectl"
            && let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations")
            && let Some(last) = annotations.get_mut(LAST_APPLIED)
        {
            *last = last_applied(config).into();
        }
        object["kind"] = self.kind.kind.into();
        object["apiVersion"] = self.kind.api_version().into();
        set_managed_fields(&mut object, Some(&managers));
        Ok(object)
    }

    /// `default/web; /v1, Kind=Service`, as messages name the configuration.
    fn name(&self, config: &Value) -> String {
        let text = |name: &str| {
            config["metadata"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let (namespace, name) = (text("namespace"), text("name"));
        format!("{namespace}/{name}; {}", gvk(config))
    }
}

/// The annotation of client-side apply for a configuration.
fn last_applied(config: &Value) -> String {
    let mut config = config.clone();
    if let Some(Value::Object(annotations)) = config.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
    }
    format!("{}\n", schema::print::go_json_untyped(&config))
}

/// A configuration as it was sent.
struct Config {
    value: Value,
    /// Go's error for repeated keys, and a text for each.
    repeated: Option<(String, Vec<String>)>,
}

impl Config {
    fn warnings(&self, validation: Validation) -> Result<Vec<String>, Status> {
        match (&self.repeated, validation) {
            (Some((error, _)), Validation::Strict) => Err(Status::bad_request(format!(
                "error strict decoding YAML: {error}"
            ))),
            (Some((_, texts)), Validation::Warn) => Ok(texts.clone()),
            _ => Ok(Vec::new()),
        }
    }
}

fn read_config(config: &[u8]) -> Result<Config, Status> {
    let refuse = |error: &str| Status::bad_request(format!("error decoding YAML: {error}"));
    // JSON is nearly always sent; only when a key is repeated does the line matter.
    if config.first() == Some(&b'{') && schema::check_json(config).is_ok() {
        let (value, repeated) = schema::any_noting_repeated(config);
        if repeated.is_empty() {
            return Ok(Config {
                value,
                repeated: None,
            });
        }
    }
    let yaml = yaml::read(config).map_err(|error| refuse(&error))?;
    let texts = yaml.repeated_texts();
    let repeated = yaml.repeated_error().map(|error| (error, texts));
    let value = match yaml.value {
        Value::Object(map) => Value::Object(map),
        Value::Null => json!({}),
        other => {
            let word = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                _ => "bool",
            };
            return Err(refuse(&format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {word} \
                 into Go value of type map[string]interface {{}}"
            )));
        }
    };
    Ok(Config { value, repeated })
}

fn check_config(kind: &Kind<'_>, config: &Value) -> Result<(), Status> {
    if config["apiVersion"] == kind.api_version() && config["kind"] == kind.kind {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "invalid object type: {}",
        gvk(config)
    )))
}

/// `apps/v1, Kind=Deployment`, as Go prints a kind.
fn gvk(object: &Value) -> String {
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    format!("{group}/{version}, Kind={kind}")
}

/// An object's entries.
fn managed_fields(object: &Value) -> &[Value] {
    object["metadata"]["managedFields"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// The object, or an empty one, without entries.
fn without_managed_fields(object: Option<&Value>, known: &'static Definition) -> Value {
    let mut bare = object.cloned().unwrap_or_else(|| json!({}));
    if object.is_none() {
        schema::normalise(known.name, &mut bare);
    }
    set_managed_fields(&mut bare, None);
    bare
}

fn set_managed_fields(object: &mut Value, managers: Option<&Managers>) {
    let entries = managers.map(Managers::write).unwrap_or_default();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), entries.into());
    }
}

fn reset_paths(paths: &[&str]) -> Set {
    let mut set = Set::default();
    for path in paths {
        set.insert(&dotted(path));
    }
    set
}

/// Paths that are nobody's: what every object has, or what the server alone writes.
fn stripped() -> Set {
    const METADATA: &[&str] = &[
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut set = reset_paths(&["apiVersion", "kind", "metadata"]);
    for name in METADATA {
        set.insert(&dotted(&format!("metadata.{name}")));
    }
    set
}

fn dotted(path: &str) -> Vec<Element> {
    path.split('.')
        .map(|name| Element::Field(name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
