//! A served kind as a declaration: names, verbs, subresources, and the strategy that knows its meaning.
//!
//! The API server runs one generic machinery over [`Resource`]s. Everything particular to a kind is in its
//! [`Strategy`], a set of pure functions (Kubernetes calls it the same, `registry/*/strategy.go`).

use jiff::Timestamp;
use serde_json::Value;

use crate::field::Problems;

/// A kind that the API serves.
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version in the group.
    pub version: &'static str,
    /// `Service`.
    pub kind: &'static str,
    /// `services`: the name in paths and messages.
    pub plural: &'static str,
    /// `service`.
    pub singular: &'static str,
    /// `svc`.
    pub short_names: &'static [&'static str],
    /// `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What may be done.
    pub verbs: &'static [Verb],
    /// Served below the object's path.
    pub subresources: &'static [Subresource],
    /// Its name in the schema table and in OpenAPI: `io.k8s.api.core.v1.Service`.
    pub definition: &'static str,
    /// What its objects mean.
    pub strategy: &'static dyn Strategy,
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// A verb of the API, by its discovery name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

/// All verbs, in discovery's (alphabetical) order.
pub const ALL_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

/// A path below an object, such as `status` or `scale`.
pub struct Subresource {
    /// The last part of the path.
    pub name: &'static str,
    /// Group, version and kind of what is read and written there, where it is not the object itself
    /// (`autoscaling/v1 Scale`).
    pub kind: Option<(&'static str, &'static str, &'static str)>,
    /// What may be done.
    pub verbs: &'static [Verb],
}

/// Which part of an object a write addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object itself.
    Main,
    /// A subresource by name.
    Sub(&'static str),
}

/// General rules of a kind that the generic machinery asks for.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// PUT of a missing name creates.
    pub create_on_update: bool,
    /// PUT without resourceVersion is accepted.
    pub unconditional_update: bool,
    /// DELETE answers with the object instead of a `Status`.
    pub delete_returns_object: bool,
    /// Whether `metadata.generation` counts spec changes.
    pub has_generation: bool,
    /// Whether `metadata.generateName` gets random characters; otherwise it is the name as it stands.
    pub random_names: bool,
    /// Whether [`Strategy::shown`] may differ from what is stored.
    pub shown_otherwise: bool,
    /// A Warning header for every request, even one that reads.
    pub deprecation: Option<&'static str>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            create_on_update: false,
            unconditional_update: true,
            delete_returns_object: false,
            has_generation: false,
            random_names: true,
            shown_otherwise: false,
            deprecation: None,
        }
    }
}

/// A column of a kind's table (`kubectl get`).
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Header as the server sends it (`Cluster-IP`).
    pub name: &'static str,
    /// `string`, `integer`, `boolean`, `date`.
    pub kind: &'static str,
    /// `name` for the name column, else empty.
    pub format: &'static str,
    /// 0 is shown always, 1 with `-o wide`.
    pub priority: u8,
}

/// What a kind's objects mean. Objects are canonical JSON values; every function is pure.
///
/// `prepare_*` and `set_defaults` change the object the way Kubernetes does silently; `validate_*` report
/// all problems at once, in Kubernetes' order. Metadata common to all kinds is the machinery's work.
pub trait Strategy: Send + Sync {
    /// General rules.
    fn rules(&self) -> Rules {
        Rules::default()
    }

    /// Fills fields that were left out (`pkg/apis/*/v1/defaults.go`).
    fn set_defaults(&self, _object: &mut Value) {}

    /// Drops what a creator may not set (status, mostly).
    fn prepare_for_create(&self, _object: &mut Value) {}

    /// Problems of a new object.
    fn validate_create(&self, _object: &Value) -> Problems {
        Problems::new()
    }

    /// Puts back what this write may not change, and clears what no longer applies.
    fn prepare_for_update(&self, _part: Part, _new: &mut Value, _old: &Value) {}

    /// Problems of an update.
    fn validate_update(&self, _part: Part, _new: &Value, _old: &Value) -> Problems {
        Problems::new()
    }

    /// Seconds the object lingers after DELETE, given what the request asks for. `None`: the kind has no
    /// graceful deletion; zero: this object goes at once (`RESTGracefulDeleteStrategy`).
    fn grace_seconds(&self, _object: &Value, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// Dotted paths that a write of this part puts back, so that nobody manages them by it
    /// (`rest.ResetFieldsStrategy`).
    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            Part::Sub("status") => &["spec"],
            Part::Sub(_) => &[],
        }
    }

    /// The last touch before an accepted object is stored: what was valid to say but is not kept.
    fn canonicalize(&self, _object: &mut Value) {}

    /// What readers see where it is not what is stored (`Store.Decorator`); `None`: the object as it stands.
    /// Reads and writes of a subresource see what is stored.
    fn shown(&self, _object: &Value) -> Option<Value> {
        None
    }

    /// Warning headers for an accepted write.
    fn warnings(&self, _part: Part, _new: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    /// Fields that field selectors may name, besides `metadata.name` and `metadata.namespace`.
    fn selectable_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// The value of a selectable field.
    fn selectable_field(&self, _object: &Value, _field: &str) -> String {
        String::new()
    }

    /// The table's columns; `Age` is one of them where the kind has it.
    fn columns(&self) -> &'static [Column] {
        NAME_AND_AGE
    }

    /// A table row's cells, one per column.
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value>;

    /// What a table row says of its object besides the cells: `Completed` of pods that have ended.
    fn row_conditions(&self, _object: &Value) -> Vec<Value> {
        Vec::new()
    }
}

/// The columns of a kind without a printer of its own.
pub const NAME_AND_AGE: &[Column] = &[
    Column {
        name: "Name",
        kind: "string",
        format: "name",
        priority: 0,
    },
    Column {
        name: "Age",
        kind: "string",
        format: "",
        priority: 0,
    },
];
