//! Objects in the form that the client asked for: whole, as a table, or their metadata alone.

use api::resource::Resource;
use api::status::Status;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::accept::{Form, Shape};
use crate::query::Query;

/// A list's own metadata.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ListMeta {
    #[serde(rename = "resourceVersion", skip_serializing_if = "String::is_empty")]
    pub(crate) resource_version: String,
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub(crate) proceed: String,
    #[serde(rename = "remainingItemCount", skip_serializing_if = "Option::is_none")]
    pub(crate) remaining: Option<u64>,
}

/// What a table's rows carry besides their cells (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// How objects of one request are shown.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub(crate) resource: &'static Resource,
    pub(crate) form: Form,
    pub(crate) include: Include,
}

impl View {
    /// Reads `includeObject`.
    ///
    /// # Errors
    /// When it is none of the known words.
    pub(crate) fn new(
        resource: &'static Resource,
        form: Form,
        query: &Query,
    ) -> Result<Self, Status> {
        let asked = match form.shape {
            Shape::Table(_) => query.text("includeObject"),
            _ => "",
        };
        let include = match asked {
            "None" => Include::None,
            "Object" => Include::Object,
            "" | "Metadata" => Include::Metadata,
            _ => {
                return Err(Status::bad_request(format!(
                    "Unable to convert to Table as requested: includeObject: Invalid value: \"{asked}\": \
                     must be 'Metadata', 'Object', 'None', or empty"
                )));
            }
        };
        Ok(Self {
            resource,
            form,
            include,
        })
    }

    /// One object, from its JSON with a resourceVersion.
    ///
    /// # Errors
    /// When the metadata of a list were asked for.
    pub(crate) fn one(&self, json: &Bytes) -> Result<Bytes, Status> {
        match self.form.shape {
            Shape::MetadataList(_) => {
                Err(self.other_shape("PartialObjectMetadataList", "not a list", ""))
            }
            _ => Ok(self.single(json)),
        }
    }

    /// 406: a list was asked for as one, or one as a list. Go's types are named.
    fn other_shape(&self, asked: &str, what: &str, suffix: &str) -> Status {
        let package = match self.resource.group.split('.').next() {
            None | Some("") => "core",
            Some(package) => package,
        };
        let kind = self.resource.kind;
        let message = format!(
            "you requested {asked}, but the requested object is {what} (*{package}.{kind}{suffix})"
        );
        Status::new(406, "NotAcceptable", message)
    }

    fn single(&self, json: &Bytes) -> Bytes {
        match self.form.shape {
            Shape::Whole | Shape::Discovery => json.clone(),
            Shape::Metadata(version) | Shape::MetadataList(version) => {
                partial(json, version).into()
            }
            Shape::Table(version) => {
                let object: Value = serde_json::from_slice(json).unwrap_or_default();
                let revision = &object["metadata"]["resourceVersion"];
                let meta = json!({ "resourceVersion": revision });
                let columns = columns(self.resource);
                let rows = json!([self.row(&object, version)]);
                table(version, &meta, &columns, &rows).into()
            }
        }
    }

    /// One object in a watch: only the first table has the columns.
    pub(crate) fn event(&self, json: &Bytes, first: bool) -> Bytes {
        let Shape::Table(version) = self.form.shape else {
            return self.single(json);
        };
        let object: Value = serde_json::from_slice(json).unwrap_or_default();
        let meta = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
        let columns = if first {
            columns(self.resource)
        } else {
            Value::Null
        };
        table(
            version,
            &meta,
            &columns,
            &json!([self.row(&object, version)]),
        )
        .into()
    }

    /// Many objects.
    ///
    /// # Errors
    /// When the metadata of one object were asked for.
    pub(crate) fn list<'a>(
        &self,
        meta: &ListMeta,
        objects: impl ExactSizeIterator<Item = &'a Bytes>,
    ) -> Result<Bytes, Status> {
        let meta = serde_json::to_value(meta).unwrap_or_default();
        Ok(match self.form.shape {
            Shape::Whole | Shape::Discovery => self.whole_list(&meta, objects),
            Shape::Metadata(_) => {
                return Err(self.other_shape("PartialObjectMetadata", "a list", "List"));
            }
            Shape::MetadataList(version) => {
                let items: Vec<String> = objects.map(|json| partial(json, version)).collect();
                let kind = "PartialObjectMetadataList";
                let head = format!(
                    "{{\"kind\":\"{kind}\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{meta},\"items\":["
                );
                [head, items.join(","), "]}".to_owned()].concat().into()
            }
            Shape::Table(version) => {
                let parsed = objects.map(|json| serde_json::from_slice(json).unwrap_or_default());
                let rows: Vec<Value> = parsed
                    .map(|object: Value| self.row(&object, version))
                    .collect();
                table(version, &meta, &columns(self.resource), &rows.into()).into()
            }
        })
    }

    fn whole_list<'a>(
        &self,
        meta: &Value,
        objects: impl ExactSizeIterator<Item = &'a Bytes>,
    ) -> Bytes {
        let (kind, version) = (self.resource.kind, self.resource.api_version());
        let head = format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":["
        );
        let mut out = Vec::with_capacity(head.len() + 2 + objects.len() * 1_024);
        out.extend_from_slice(head.as_bytes());
        for (index, json) in objects.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.push(b'{');
            out.extend_from_slice(untyped(json));
        }
        out.extend_from_slice(b"]}");
        out.into()
    }

    fn row(&self, object: &Value, version: &str) -> Value {
        let mut cells = self.resource.strategy.cells(object, Timestamp::now());
        // A client prints null as nothing; a bookmark's row has an empty name.
        for cell in cells.iter_mut().filter(|cell| cell.is_null()) {
            *cell = "".into();
        }
        let shown = match self.include {
            Include::None => Value::Null,
            Include::Object => object.clone(),
            Include::Metadata => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": object["metadata"],
            }),
        };
        let mut row = json!({ "cells": cells, "object": shown });
        let conditions = self.resource.strategy.row_conditions(object);
        if !conditions.is_empty() {
            row["conditions"] = conditions.into();
        }
        row
    }
}

/// Members of lists do not say their kind: what follows `{"apiVersion":…,"kind":…,`.
fn untyped(json: &[u8]) -> &[u8] {
    let mark = b"\"metadata\":";
    let at = json.windows(mark.len()).position(|part| part == mark);
    &json[at.unwrap_or(1)..]
}

fn partial(json: &[u8], version: &str) -> String {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let head: Result<Head<'_>, _> = serde_json::from_slice(json);
    let metadata = head.map_or("{}", |head| head.metadata.get());
    format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{metadata}}}"
    )
}

fn columns(resource: &Resource) -> Value {
    let columns = resource.strategy.columns().iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": "", "priority": column.priority,
        })
    });
    columns.collect()
}

fn table(version: &str, meta: &Value, columns: &Value, rows: &Value) -> String {
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{meta},\
         \"columnDefinitions\":{columns},\"rows\":{rows}}}"
    )
}
