//! Schemas of structs, from the schema table.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::descriptions::Descriptions;
use crate::resource::Resource;
use crate::schema::table::{Definition, Field, ListKind, Type, definition};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const RAW: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// Which version of OpenAPI is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// A reference to a definition.
    pub(super) fn reference(self, name: &str) -> Value {
        let place = match self {
            Self::V2 => "definitions",
            Self::V3 => "components/schemas",
        };
        json!({"$ref": format!("#/{place}/{name}")})
    }
}

/// The name of a patch's schema.
pub(super) const PATCH_NAME: &str = PATCH;

/// The definition of a kind's list.
pub(super) fn list_name(resource: &Resource) -> String {
    format!("{}List", resource.definition)
}

/// The definition of a kind by group, version and kind.
pub(super) fn kind_name(group: &str, version: &str, kind: &str) -> Option<String> {
    crate::schema::definition_of(group, version, kind)
}

/// The schemas that the resources' operations need, and all that those refer to.
pub(super) fn reachable(
    resources: &[&Resource],
    dialect: Dialect,
    descriptions: &Descriptions,
) -> Value {
    let mut collector = Collector {
        dialect,
        descriptions,
        kinds: kinds(resources),
        done: BTreeSet::new(),
        schemas: Map::new(),
    };
    let common = ["DeleteOptions", "Status"].map(|name| format!("{META}.{name}"));
    for name in common {
        collector.add(&name);
    }
    collector.add_leaf(PATCH);
    for resource in resources {
        collector.add(resource.definition);
        collector.add(&list_name(resource));
        let subresources = resource.subresources.iter();
        for (group, version, kind) in subresources.filter_map(|one| one.kind) {
            if let Some(name) = kind_name(group, version, kind) {
                collector.add(&name);
            }
        }
    }
    collector.schemas.into()
}

/// Group, version and kind of the definitions that are kinds.
fn kinds(resources: &[&Resource]) -> Vec<(String, Value)> {
    let mut kinds = Vec::new();
    for resource in resources {
        let gvk = |kind: &str| json!([{"group": resource.group, "version": resource.version, "kind": kind}]);
        kinds.push((resource.definition.to_owned(), gvk(resource.kind)));
        let list = format!("{}List", resource.kind);
        kinds.push((list_name(resource), gvk(&list)));
        for (group, version, kind) in resource.subresources.iter().filter_map(|one| one.kind) {
            if let Some(name) = kind_name(group, version, kind) {
                let gvk = json!([{"group": group, "version": version, "kind": kind}]);
                kinds.push((name, gvk));
            }
        }
    }
    for kind in ["DeleteOptions", "Status"] {
        let gvk = json!([{"group": "", "version": "v1", "kind": kind}]);
        kinds.push((format!("{META}.{kind}"), gvk));
    }
    kinds
}

struct Collector<'a> {
    dialect: Dialect,
    descriptions: &'a Descriptions,
    kinds: Vec<(String, Value)>,
    done: BTreeSet<String>,
    schemas: Map<String, Value>,
}

impl Collector<'_> {
    fn add(&mut self, name: &str) {
        let Some(known) = definition(name) else {
            return;
        };
        if !self.done.insert(name.to_owned()) {
            return;
        }
        let schema = self.structure(known);
        self.schemas.insert(name.to_owned(), schema);
    }

    fn structure(&mut self, known: &'static Definition) -> Value {
        let mut schema = Map::new();
        if let Some(text) = self.descriptions.of(known.name) {
            schema.insert("description".to_owned(), text.into());
        }
        schema.insert("type".to_owned(), "object".into());
        let required: Vec<&str> = known
            .fields()
            .filter(|field| field.required)
            .map(|field| field.name)
            .collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let mut properties = Map::new();
        for field in known.fields() {
            properties.insert(field.name.to_owned(), self.property(known, field));
        }
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), properties.into());
        }
        if known.atomic {
            schema.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        if let Some((_, gvk)) = self.kinds.iter().find(|(name, _)| name == known.name) {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), gvk.clone());
        }
        schema.into()
    }

    fn property(&mut self, known: &Definition, field: &'static Field) -> Value {
        let mut schema = self.value(&field.ty);
        if !field.element_values.is_empty()
            && let Some(Value::Object(items)) = schema.get_mut("items")
        {
            items.insert("enum".to_owned(), json!(field.element_values));
        }
        self.wrap_reference(&mut schema);
        if let Some(text) = self.descriptions.of_field(known.name, field.name) {
            schema.insert("description".to_owned(), text.into());
        }
        if let (Some(default), Dialect::V3) = (&field.default, self.dialect) {
            schema.insert("default".to_owned(), default.clone());
        }
        if !field.values.is_empty() {
            schema.insert("enum".to_owned(), json!(field.values));
        }
        add_extensions(&mut schema, field);
        schema.into()
    }

    /// Version 3 allows nothing beside a reference, so that it is wrapped.
    fn wrap_reference(&self, schema: &mut Map<String, Value>) {
        if self.dialect == Dialect::V3
            && let Some(reference) = schema.remove("$ref")
        {
            schema.insert("allOf".to_owned(), json!([{"$ref": reference}]));
        }
    }

    /// A member of a list or map, with the zero value as its default.
    fn element(&mut self, ty: &'static Type) -> Map<String, Value> {
        let mut schema = self.value(ty);
        let default = match ty {
            Type::String(_) => json!(""),
            Type::Bool(_) => json!(false),
            Type::Int32(_) | Type::Int64(_) => json!(0),
            Type::Struct(_) => json!({}),
            _ => return schema,
        };
        if self.dialect == Dialect::V3 {
            self.wrap_reference(&mut schema);
            schema.insert("default".to_owned(), default);
        }
        schema
    }

    fn value(&mut self, ty: &'static Type) -> Map<String, Value> {
        let schema = match ty.target() {
            Type::String(_) => json!({"type": "string"}),
            Type::Bool(_) => json!({"type": "boolean"}),
            Type::Int32(_) => json!({"type": "integer", "format": "int32"}),
            Type::Int64(_) => json!({"type": "integer", "format": "int64"}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            Type::List(element, _) => json!({"type": "array", "items": self.element(element)}),
            Type::Map(element, _) => {
                json!({"type": "object", "additionalProperties": self.element(element)})
            }
            Type::Quantity => self.leaf(QUANTITY),
            Type::IntOrString => self.leaf(INT_OR_STRING),
            Type::Time => self.leaf(TIME),
            Type::MicroTime => self.leaf(MICRO_TIME),
            Type::FieldsV1 => self.leaf(FIELDS),
            Type::Raw | Type::Pointer(_) => self.leaf(RAW),
            Type::Struct(_) => match ty.definition() {
                Some(known) => {
                    self.add(known.name);
                    self.dialect.reference(known.name)
                }
                None => json!({}),
            },
        };
        match schema {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn leaf(&mut self, name: &str) -> Value {
        self.add_leaf(name);
        self.dialect.reference(name)
    }

    fn add_leaf(&mut self, name: &str) {
        let v3 = self.dialect == Dialect::V3;
        let mut schema = match name {
            QUANTITY if v3 => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            INT_OR_STRING if v3 => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            QUANTITY => json!({"type": "string"}),
            INT_OR_STRING => json!({"type": "string", "format": "int-or-string"}),
            TIME | MICRO_TIME => json!({"type": "string", "format": "date-time"}),
            _ => json!({"type": "object"}),
        };
        if let Some(text) = self.descriptions.of(name) {
            schema["description"] = text.into();
        }
        self.schemas.insert(name.to_owned(), schema);
    }
}

fn add_extensions(schema: &mut Map<String, Value>, field: &Field) {
    if field.list_is_told {
        let (kind, keys) = match &field.list {
            ListKind::Atomic => ("atomic", None),
            ListKind::Set => ("set", None),
            ListKind::Map(keys) => ("map", Some(keys)),
        };
        schema.insert("x-kubernetes-list-type".to_owned(), kind.into());
        if let Some(keys) = keys {
            schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
        }
    }
    if field.atomic_map {
        schema.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    if !field.merge_key.is_empty() {
        schema.insert(
            "x-kubernetes-patch-merge-key".to_owned(),
            field.merge_key.into(),
        );
    }
    let strategies: Vec<&str> = [("merge", field.merge), ("retainKeys", field.retain_keys)]
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    if !strategies.is_empty() {
        let strategies = strategies.join(",");
        schema.insert("x-kubernetes-patch-strategy".to_owned(), strategies.into());
    }
}
