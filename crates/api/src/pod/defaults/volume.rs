//! What a volume means where it says nothing.

use serde_json::{Value, json};

use super::milli;
use crate::pod::image;
use crate::validation::json::{default, list_mut, text};

/// Fills in what was left out; a volume without a source is an empty folder.
pub(super) fn set_defaults(volume: &mut Value) {
    let bare = volume.as_object().is_some_and(|members| {
        members
            .iter()
            .all(|(key, value)| key == "name" || value.is_null())
    });
    if bare {
        volume["emptyDir"] = json!({});
    }
    for (source, member, value) in SIMPLE {
        if let Some(source) = volume.get_mut(source) {
            let value: Value = serde_json::from_str(value).expect("the table holds JSON");
            default(source, member, value);
        }
    }
    if let Some(source) = volume.get_mut("image") {
        let pull = image::pull_policy(text(source, "/reference"));
        default(source, "pullPolicy", pull);
    }
    field_references(volume, "/downwardAPI/items");
    for source in list_mut(volume, "/projected/sources") {
        field_references(source, "/downwardAPI/items");
        if let Some(token) = source.get_mut("serviceAccountToken") {
            default(token, "expirationSeconds", 3600);
        }
    }
    if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
        default(claim, "volumeMode", "Filesystem");
        milli(claim.pointer_mut("/resources/limits"));
        milli(claim.pointer_mut("/resources/requests"));
    }
}

fn field_references(source: &mut Value, path: &str) {
    for item in list_mut(source, path) {
        if let Some(field) = item.get_mut("fieldRef") {
            default(field, "apiVersion", "v1");
        }
    }
}

/// Source, member, and its default as JSON. Modes are 0644.
const SIMPLE: [(&str, &str, &str); 15] = [
    ("hostPath", "type", "\"\""),
    ("secret", "defaultMode", "420"),
    ("configMap", "defaultMode", "420"),
    ("downwardAPI", "defaultMode", "420"),
    ("projected", "defaultMode", "420"),
    ("iscsi", "iscsiInterface", "\"default\""),
    ("rbd", "pool", "\"rbd\""),
    ("rbd", "user", "\"admin\""),
    ("rbd", "keyring", "\"/etc/ceph/keyring\""),
    ("azureDisk", "cachingMode", "\"ReadWrite\""),
    ("azureDisk", "fsType", "\"ext4\""),
    ("azureDisk", "readOnly", "false"),
    ("azureDisk", "kind", "\"Shared\""),
    ("scaleIO", "storageMode", "\"ThinProvisioned\""),
    ("scaleIO", "fsType", "\"xfs\""),
];
