//! `secret`: the keys of a Secret as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::SecretVolumeSource;

use super::VolumeError;
use super::atomic::File;
use super::content::{Files, Reference, Source, default_mode};
use crate::objects::Data;

/// The volume's one source.
pub(super) fn files(source: &SecretVolumeSource) -> Files<'_> {
    Files {
        default_mode: default_mode(source.default_mode),
        sources: vec![Source::Secret(Reference {
            name: source.secret_name.as_deref().unwrap_or_default(),
            items: source.items.as_deref().unwrap_or_default(),
            optional: source.optional.unwrap_or(false),
        })],
    }
}

/// The files of a Secret.
pub(super) fn content(
    reference: &Reference<'_>,
    objects: &BTreeMap<String, Arc<Data>>,
    default_mode: u32,
) -> Result<Vec<(String, File)>, VolumeError> {
    match objects.get(reference.name) {
        Some(data) => {
            let missing = |key| VolumeError::MissingKey {
                what: "",
                kind: "secret",
                key,
            };
            reference.choose(data, default_mode).map_err(missing)
        }
        None if reference.optional => Ok(Vec::new()),
        None => Err(VolumeError::Missing {
            kind: "secret",
            name: reference.name.to_owned(),
        }),
    }
}
