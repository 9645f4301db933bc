//! One version of one object, as the cache keeps it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::resource::Resource;
use api::selector::Fields;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use store::Revision;

use crate::codec;

/// A version of an object: its JSON with the resourceVersion in it, and what selectors ask for. The parsed
/// form is not kept, because it takes several times the memory of the text.
#[derive(Debug)]
pub struct Stored {
    key: Box<str>,
    revision: Revision,
    json: Bytes,
    /// What is stored, where clients get something else.
    raw: Option<Bytes>,
    labels: Box<[(Box<str>, Box<str>)]>,
    fields: Box<[Box<str>]>,
}

impl Stored {
    /// Reads the stored form; `key` is what follows the kind's prefix.
    pub(crate) fn new(resource: &Resource, key: &str, stored: &[u8], revision: Revision) -> Self {
        let head: Head = serde_json::from_slice(stored).unwrap_or_default();
        let labels = head.metadata.labels.unwrap_or_default();
        let json = codec::with_revision(stored, revision);
        let shown = codec::shown(resource, &json);
        let (json, raw) = match shown {
            Some(shown) => (shown, Some(json)),
            None => (json, None),
        };
        Self {
            key: key.into(),
            revision,
            json,
            raw,
            labels: labels.into_iter().collect(),
            fields: fields(resource, stored),
        }
    }

    /// `namespace/name`, or `name`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The namespace; empty for what has none.
    pub fn namespace(&self) -> &str {
        self.key
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.key
            .split_once('/')
            .map_or(&*self.key, |(_, name)| name)
    }

    /// The revision of the write.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What clients get.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The object, parsed.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("only JSON objects are stored")
    }

    /// What is stored, with its resourceVersion: what writes and subresources see.
    pub fn raw(&self) -> &Bytes {
        self.raw.as_ref().unwrap_or(&self.json)
    }

    /// [`Stored::raw`], parsed.
    pub fn raw_value(&self) -> Value {
        serde_json::from_slice(self.raw()).expect("only JSON objects are stored")
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(name, _)| &**name == key);
        found.map(|(_, value)| &**value)
    }
}

impl Fields for Stored {
    fn name(&self) -> &str {
        self.name()
    }

    fn namespace(&self) -> &str {
        self.namespace()
    }

    fn own(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |value| value)
    }
}

fn fields(resource: &Resource, stored: &[u8]) -> Box<[Box<str>]> {
    let names = resource.strategy.selectable_fields();
    if names.is_empty() {
        return Box::default();
    }
    let object: Value = serde_json::from_slice(stored).unwrap_or_default();
    let value = |name: &&str| resource.strategy.selectable_field(&object, name).into();
    names.iter().map(value).collect()
}

#[derive(Default, Deserialize)]
struct Head {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
}

/// Orders and finds objects by key, so that the key is kept once.
#[derive(Debug)]
pub(super) struct ByKey(pub(super) Arc<Stored>);

impl Borrow<str> for ByKey {
    fn borrow(&self) -> &str {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}
