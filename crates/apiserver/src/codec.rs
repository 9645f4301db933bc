//! The stored form of objects: JSON with `apiVersion`, `kind` and `metadata` first and without a
//! resourceVersion, so that putting one in is a copy and no parsing.

use api::resource::Resource;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use store::Revision;

/// What stands before the place of a resourceVersion. In the stored form nothing but `apiVersion` and
/// `kind`, which hold no objects, comes before it, so its first occurrence is the right one.
const MARK: &[u8] = b"\"metadata\":{";

/// Leading members, in this order.
const FIRST: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The stored form of an object.
pub fn encode(object: &Value) -> Bytes {
    serde_json::to_vec(&Stored(object))
        .expect("JSON values are always printable")
        .into()
}

/// The form that clients get: the stored one with this revision in it.
pub(crate) fn with_revision(stored: &[u8], revision: Revision) -> Bytes {
    let Some(at) = stored.windows(MARK.len()).position(|part| part == MARK) else {
        return Bytes::copy_from_slice(stored);
    };
    let (head, tail) = stored.split_at(at + MARK.len());
    let mut out = Vec::with_capacity(stored.len() + 44);
    out.extend_from_slice(head);
    out.extend_from_slice(format!("\"resourceVersion\":\"{revision}\"").as_bytes());
    if !tail.starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(tail);
    out.into()
}

/// What readers see, where it differs from an object's JSON with its resourceVersion.
pub(crate) fn shown(resource: &Resource, json: &[u8]) -> Option<Bytes> {
    if !resource.strategy.rules().shown_otherwise {
        return None;
    }
    let object: Value = serde_json::from_slice(json).ok()?;
    let shown = resource.strategy.shown(&object)?;
    let revision = object["metadata"]["resourceVersion"].as_str();
    let shown = encode(&shown);
    Some(match revision.and_then(|text| text.parse().ok()) {
        Some(revision) => with_revision(&shown, Revision(revision)),
        None => shown,
    })
}

/// An object's JSON as clients get it, with another revision in it.
pub(crate) fn other_revision(json: &[u8], revision: Revision) -> Bytes {
    let Some(at) = json.windows(MARK.len()).position(|part| part == MARK) else {
        return Bytes::copy_from_slice(json);
    };
    let (head, tail) = json.split_at(at + MARK.len());
    let unversioned = tail.strip_prefix(b"\"resourceVersion\":\"").map(|rest| {
        let end = rest
            .iter()
            .position(|byte| *byte == b'"')
            .map_or(rest.len(), |quote| quote + 1);
        rest[end..].strip_prefix(b",").unwrap_or(&rest[end..])
    });
    with_revision(&[head, unversioned.unwrap_or(tail)].concat(), revision)
}

struct Stored<'a>(&'a Value);

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(members) = self.0 else {
            return self.0.serialize(serializer);
        };
        let mut map = serializer.serialize_map(None)?;
        for key in FIRST {
            match members.get(key) {
                Some(Value::Object(metadata)) if key == "metadata" => {
                    map.serialize_entry(key, &Unversioned(metadata))?;
                }
                Some(value) => map.serialize_entry(key, value)?,
                None if key == "metadata" => map.serialize_entry(key, &Map::new())?,
                None => {}
            }
        }
        for (key, value) in members
            .iter()
            .filter(|(key, _)| !FIRST.contains(&key.as_str()))
        {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

struct Unversioned<'a>(&'a Map<String, Value>);

impl Serialize for Unversioned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kept = self.0.iter().filter(|(key, _)| *key != "resourceVersion");
        serializer.collect_map(kept)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_is_put_into_the_object_and_nowhere_else() {
        let object = json!({
            "kind": "ConfigMap", "apiVersion": "v1", "data": {"x": "\"metadata\":{"},
            "metadata": {"name": "a", "resourceVersion": "3"},
        });
        let stored = encode(&object);
        assert!(!String::from_utf8_lossy(&stored).contains("resourceVersion"));
        let read: Value = serde_json::from_slice(&with_revision(&stored, Revision(9))).unwrap();
        assert_eq!(
            read["metadata"],
            json!({"name": "a", "resourceVersion": "9"})
        );
        assert_eq!(read["data"], object["data"]);
    }

    #[test]
    fn a_revision_is_replaced() {
        let stored = encode(&json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}}));
        let first = with_revision(&stored, Revision(1));
        assert_eq!(
            other_revision(&first, Revision(22)),
            with_revision(&stored, Revision(22))
        );
        let bare = with_revision(&encode(&json!({})), Revision(1));
        assert_eq!(
            other_revision(&bare, Revision(2)),
            with_revision(&encode(&json!({})), Revision(2))
        );
    }

    #[test]
    fn empty_metadata_takes_a_revision_too() {
        let stored = encode(&json!({"apiVersion": "v1", "kind": "X"}));
        let read: Value = serde_json::from_slice(&with_revision(&stored, Revision(1))).unwrap();
        assert_eq!(read["metadata"], json!({"resourceVersion": "1"}));
    }
}
