//! Operations of the served kinds.

use serde_json::{Map, Value, json};

use super::schemas::{Dialect, PATCH_NAME, kind_name, list_name};
use crate::resource::{Resource, Subresource, Verb};

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

const ANSWER_TYPES: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// How a watch is sent.
const STREAM_TYPES: [&str; 2] = [
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];

/// A query parameter: its name, type, and what it is for.
type Parameter = (&'static str, &'static str, &'static str);

const PRETTY: Parameter = ("pretty", "string", "Print the answer for people.");
const DRY_RUN: Parameter = (
    "dryRun",
    "string",
    "`All`: do everything but store the result.",
);
const MANAGER: Parameter = (
    "fieldManager",
    "string",
    "Who writes, for the managed fields.",
);
const VALIDATION: Parameter = (
    "fieldValidation",
    "string",
    "What becomes of unknown and repeated fields: `Ignore`, `Warn` or `Strict`.",
);
const FORCE: Parameter = ("force", "boolean", "Apply takes fields that others own.");
const WRITES: &[Parameter] = &[DRY_RUN, MANAGER, VALIDATION];
const PATCHES: &[Parameter] = &[DRY_RUN, MANAGER, VALIDATION, FORCE];
const DELETES: &[Parameter] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds before the object goes.",
    ),
    (
        "orphanDependents",
        "boolean",
        "Deprecated: see propagationPolicy.",
    ),
    (
        "propagationPolicy",
        "string",
        "What becomes of dependents: `Orphan`, `Background` or `Foreground`.",
    ),
];
const LISTS: &[Parameter] = &[
    (
        "allowWatchBookmarks",
        "boolean",
        "A watch may send bookmarks.",
    ),
    ("continue", "string", "Where the list before ended."),
    ("fieldSelector", "string", "Only objects with these fields."),
    ("labelSelector", "string", "Only objects with these labels."),
    ("limit", "integer", "So many objects at most."),
    ("resourceVersion", "string", "How new the answer has to be."),
    (
        "resourceVersionMatch",
        "string",
        "What resourceVersion means: `NotOlderThan` or `Exact`.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "A watch begins with what is there.",
    ),
    ("timeoutSeconds", "integer", "When a list or watch ends."),
    ("watch", "boolean", "Send changes as they come."),
];

/// The paths of some kinds.
pub(super) fn all(resources: &[&Resource], dialect: Dialect) -> Value {
    let mut paths = Map::new();
    for resource in resources {
        Paths { resource, dialect }.add(&mut paths);
    }
    paths.into()
}

struct Paths<'a> {
    resource: &'a Resource,
    dialect: Dialect,
}

/// What an operation takes and gives.
struct Operation<'a> {
    action: &'a str,
    /// What follows the kind in its name: a subresource, or `ForAllNamespaces`.
    suffix: String,
    body: Option<&'a str>,
    answer: &'a str,
    parameters: &'a [Parameter],
    gvk: Value,
}

impl Paths<'_> {
    fn add(&self, paths: &mut Map<String, Value>) {
        let resource = self.resource;
        let root = if resource.group.is_empty() {
            "api"
        } else {
            "apis"
        };
        let root = format!("/{root}/{}", resource.api_version());
        let plural = resource.plural;
        let collection = if resource.namespaced {
            if self.has(Verb::List) {
                let everywhere = json!({"get": self.list("ForAllNamespaces")});
                self.put(paths, format!("{root}/{plural}"), everywhere);
            }
            format!("{root}/namespaces/{{namespace}}/{plural}")
        } else {
            format!("{root}/{plural}")
        };
        let item = format!("{collection}/{{name}}");
        self.put(paths, collection, self.collection());
        self.put(paths, item.clone(), self.item());
        for subresource in resource.subresources {
            let operations = self.subresource(subresource);
            self.put(paths, format!("{item}/{}", subresource.name), operations);
        }
    }

    /// Adds a path with the parameters that are in it.
    fn put(&self, paths: &mut Map<String, Value>, path: String, mut operations: Value) {
        if operations.as_object().is_none_or(Map::is_empty) {
            return;
        }
        let mut parameters = Vec::new();
        for name in ["name", "namespace"] {
            if path.contains(&format!("{{{name}}}")) {
                parameters.push(self.path_parameter(name));
            }
        }
        parameters.push(self.parameter(&PRETTY));
        operations["parameters"] = parameters.into();
        paths.insert(path, operations);
    }

    fn has(&self, verb: Verb) -> bool {
        self.resource.verbs.contains(&verb)
    }

    fn gvk(&self) -> Value {
        let resource = self.resource;
        json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
    }

    fn list(&self, suffix: &str) -> Value {
        let answer = list_name(self.resource);
        self.operation(&Operation {
            action: "list",
            suffix: suffix.to_owned(),
            body: None,
            answer: &answer,
            parameters: LISTS,
            gvk: self.gvk(),
        })
    }

    fn collection(&self) -> Value {
        let mut operations = Map::new();
        let own = self.resource.definition;
        if self.has(Verb::List) {
            operations.insert("get".to_owned(), self.list(""));
        }
        if self.has(Verb::Create) {
            operations.insert(
                "post".to_owned(),
                self.simple("post", Some(own), own, WRITES),
            );
        }
        if self.has(Verb::DeleteCollection) {
            let delete = self.simple("deletecollection", Some(DELETE_OPTIONS), STATUS, DELETES);
            operations.insert("delete".to_owned(), delete);
        }
        operations.into()
    }

    fn item(&self) -> Value {
        let own = self.resource.definition;
        let mut operations = Map::new();
        let all = [
            (Verb::Get, "get", None, own, &[] as &[Parameter]),
            (Verb::Update, "put", Some(own), own, WRITES),
            (Verb::Patch, "patch", Some(PATCH_NAME), own, PATCHES),
            (
                Verb::Delete,
                "delete",
                Some(DELETE_OPTIONS),
                STATUS,
                DELETES,
            ),
        ];
        for (verb, method, body, answer, parameters) in all {
            if self.has(verb) {
                let operation = self.simple(method, body, answer, parameters);
                operations.insert(method.to_owned(), operation);
            }
        }
        operations.into()
    }

    fn simple(
        &self,
        action: &str,
        body: Option<&str>,
        answer: &str,
        parameters: &[Parameter],
    ) -> Value {
        self.operation(&Operation {
            action,
            suffix: String::new(),
            body,
            answer,
            parameters,
            gvk: self.gvk(),
        })
    }

    fn subresource(&self, subresource: &Subresource) -> Value {
        let (group, version, kind) = subresource.kind.unwrap_or((
            self.resource.group,
            self.resource.version,
            self.resource.kind,
        ));
        let found = kind_name(group, version, kind);
        let own = found.as_deref().unwrap_or(self.resource.definition);
        let gvk = json!({"group": group, "version": version, "kind": kind});
        let mut operations = Map::new();
        let all = [
            (Verb::Get, "get", None, &[] as &[Parameter]),
            (Verb::Create, "post", Some(own), WRITES),
            (Verb::Update, "put", Some(own), WRITES),
            (Verb::Patch, "patch", Some(PATCH_NAME), PATCHES),
        ];
        for (verb, action, body, parameters) in all {
            if subresource.verbs.contains(&verb) {
                let operation = self.operation(&Operation {
                    action,
                    suffix: capitalised(subresource.name),
                    body,
                    answer: own,
                    parameters,
                    gvk: gvk.clone(),
                });
                operations.insert(action.to_owned(), operation);
            }
        }
        operations.into()
    }

    fn operation(&self, operation: &Operation<'_>) -> Value {
        let mut parameters: Vec<Value> = operation
            .parameters
            .iter()
            .map(|one| self.parameter(one))
            .collect();
        let mut shown = json!({
            "tags": [self.tag()],
            "operationId": self.name(operation),
            "description": format!("{} {}", operation.action, self.resource.kind),
            "x-kubernetes-action": operation.action,
            "x-kubernetes-group-version-kind": operation.gvk,
            "responses": self.answers(operation),
        });
        if let Some(body) = operation.body {
            let schema = self.dialect.reference(body);
            match self.dialect {
                Dialect::V2 => parameters.insert(
                    0,
                    json!({"name": "body", "in": "body", "required": true, "schema": schema}),
                ),
                Dialect::V3 => shown["requestBody"] = request_body(operation.action, &schema),
            }
        }
        if !parameters.is_empty() {
            shown["parameters"] = parameters.into();
        }
        shown
    }

    /// `core_v1`, `discovery_v1`.
    fn tag(&self) -> String {
        format!("{}_{}", self.group(), self.resource.version)
    }

    fn group(&self) -> &'static str {
        match self.resource.group.split('.').next() {
            None | Some("") => "core",
            Some(first) => first,
        }
    }

    /// `patchCoreV1NamespacedService`.
    fn name(&self, operation: &Operation<'_>) -> String {
        let action = match operation.action {
            "get" => "read",
            "post" => "create",
            "put" => "replace",
            "deletecollection" => "delete",
            other => other,
        };
        let resource = self.resource;
        let (group, version) = (capitalised(self.group()), capitalised(resource.version));
        let everywhere = operation.suffix == "ForAllNamespaces";
        let place = if resource.namespaced && !everywhere {
            "Namespaced"
        } else {
            ""
        };
        let (kind, suffix) = (resource.kind, &operation.suffix);
        let many = if operation.action == "deletecollection" {
            "Collection"
        } else {
            ""
        };
        format!("{action}{group}{version}{many}{place}{kind}{suffix}")
    }

    fn answers(&self, operation: &Operation<'_>) -> Value {
        let codes: &[(&str, &str)] = match operation.action {
            "post" => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            "put" | "patch" => &[("200", "OK"), ("201", "Created")],
            "delete" => &[("200", "OK"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        };
        let answers = codes.iter().map(|(code, text)| {
            (
                (*code).to_owned(),
                self.answer(text, operation.answer, operation.action == "list"),
            )
        });
        let mut answers: Map<String, Value> = answers.collect();
        answers.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        answers.into()
    }

    fn answer(&self, text: &str, name: &str, list: bool) -> Value {
        let schema = self.dialect.reference(name);
        if self.dialect == Dialect::V2 {
            return json!({"description": text, "schema": schema});
        }
        let streams = if list { &STREAM_TYPES[..] } else { &[] };
        let content = ANSWER_TYPES
            .iter()
            .chain(streams)
            .map(|one| ((*one).to_owned(), json!({"schema": schema})));
        json!({"description": text, "content": content.collect::<Map<_, _>>()})
    }

    fn parameter(&self, (name, ty, description): &Parameter) -> Value {
        let mut parameter = json!({"name": name, "in": "query", "description": description});
        match self.dialect {
            Dialect::V2 => {
                parameter["type"] = (*ty).into();
                parameter["uniqueItems"] = true.into();
            }
            Dialect::V3 => parameter["schema"] = json!({"type": ty, "uniqueItems": true}),
        }
        parameter
    }

    fn path_parameter(&self, name: &str) -> Value {
        let mut parameter = json!({"name": name, "in": "path", "required": true});
        match self.dialect {
            Dialect::V2 => parameter["type"] = "string".into(),
            Dialect::V3 => parameter["schema"] = json!({"type": "string"}),
        }
        parameter
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn request_body(action: &str, schema: &Value) -> Value {
    let media_types: &[&str] = if action == "patch" {
        &PATCH_TYPES
    } else {
        &["*/*"]
    };
    let content = media_types
        .iter()
        .map(|one| ((*one).to_owned(), json!({"schema": schema})));
    let mut body = json!({"content": content.collect::<Map<_, _>>()});
    if !action.starts_with("delete") {
        body["required"] = true.into();
    }
    body
}
