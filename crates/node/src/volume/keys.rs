//! `configMap` and `secret`: the keys of an object as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, KeyToPath, SecretProjection, SecretVolumeSource,
};

use super::VolumeError;
use super::atomic::File;
use super::content::{Files, Source, default_mode, mode};
use crate::objects::{Data, Kind};

/// An object by name, and which of its keys.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// All keys when empty.
    items: &'a [KeyToPath],
    optional: bool,
}

impl<'a> Reference<'a> {
    fn new(
        kind: Kind,
        name: &'a str,
        items: Option<&'a Vec<KeyToPath>>,
        optional: Option<bool>,
    ) -> Self {
        Self {
            kind,
            name,
            items: items.map(Vec::as_slice).unwrap_or_default(),
            optional: optional.unwrap_or(false),
        }
    }

    /// What a projected volume takes from a ConfigMap.
    pub(super) fn of_config_map(source: &'a ConfigMapProjection) -> Self {
        Self::new(
            Kind::ConfigMap,
            &source.name,
            source.items.as_ref(),
            source.optional,
        )
    }

    /// What a projected volume takes from a Secret.
    pub(super) fn of_secret(source: &'a SecretProjection) -> Self {
        Self::new(
            Kind::Secret,
            &source.name,
            source.items.as_ref(),
            source.optional,
        )
    }

    /// The files, from the objects of its kind.
    pub(super) fn content(
        &self,
        objects: &BTreeMap<String, Arc<Data>>,
        default_mode: u32,
    ) -> Result<Vec<(String, File)>, VolumeError> {
        match objects.get(self.name) {
            Some(data) => {
                let chosen = self.choose(data, default_mode);
                chosen.map_err(|key| missing_key(self.kind, key))
            }
            None if self.optional => Ok(Vec::new()),
            None => Err(missing(self.kind, self.name)),
        }
    }

    /// The chosen keys of an object as files; a key that is missing is the error.
    fn choose(&self, data: &Data, default_mode: u32) -> Result<Vec<(String, File)>, String> {
        if self.items.is_empty() {
            let all = data.iter().map(|(key, bytes)| {
                let file = File::new(bytes.clone(), default_mode);
                (key.clone(), file)
            });
            return Ok(all.collect());
        }
        let mut chosen = Vec::new();
        for item in self.items {
            match data.get(&item.key) {
                Some(bytes) => {
                    let file = File::new(bytes.clone(), mode(item.mode, default_mode));
                    chosen.push((item.path.clone(), file));
                }
                None if self.optional => {}
                None => return Err(item.key.clone()),
            }
        }
        Ok(chosen)
    }
}

/// The one source of a `configMap` volume.
pub(super) fn of_config_map(source: &ConfigMapVolumeSource) -> Files<'_> {
    let items = source.items.as_ref();
    let reference = Reference::new(Kind::ConfigMap, &source.name, items, source.optional);
    Files {
        default_mode: default_mode(source.default_mode),
        sources: vec![Source::Keys(reference)],
    }
}

/// The one source of a `secret` volume.
pub(super) fn of_secret(source: &SecretVolumeSource) -> Files<'_> {
    let name = source.secret_name.as_deref().unwrap_or_default();
    let items = source.items.as_ref();
    let reference = Reference::new(Kind::Secret, name, items, source.optional);
    Files {
        default_mode: default_mode(source.default_mode),
        sources: vec![Source::Keys(reference)],
    }
}

fn missing(kind: Kind, name: &str) -> VolumeError {
    let kind = match kind {
        Kind::ConfigMap => "configmap",
        Kind::Secret => "secret",
    };
    VolumeError::Missing {
        kind,
        name: name.to_owned(),
    }
}

fn missing_key(kind: Kind, key: String) -> VolumeError {
    let (what, kind) = match kind {
        Kind::ConfigMap => ("configmap ", "config"),
        Kind::Secret => ("", "secret"),
    };
    VolumeError::MissingKey { what, kind, key }
}
