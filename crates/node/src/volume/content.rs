//! The files of a volume, decided: where they come from, under which names, with which permissions.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, Pod};

use super::atomic::File;
use super::keys::Reference;
use super::{VolumeError, downward_api, token};
use crate::objects::{Data, Kind};
use crate::pod::fields::Surroundings;

/// Kubernetes' default for `defaultMode`.
pub(super) const DEFAULT_MODE: i32 = 0o644;

/// A volume of files: where they come from.
#[derive(Debug, Default)]
pub(crate) struct Files<'a> {
    pub(crate) default_mode: u32,
    pub(crate) sources: Vec<Source<'a>>,
}

/// One source of a volume's files.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Keys(Reference<'a>),
    DownwardApi(&'a [DownwardAPIVolumeFile]),
    Token(token::Wanted),
}

/// What the files are made from.
pub(crate) struct Content<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) around: &'a Surroundings,
    /// By name; objects that do not exist are absent.
    pub(crate) config_maps: &'a BTreeMap<String, Arc<Data>>,
    pub(crate) secrets: &'a BTreeMap<String, Arc<Data>>,
    pub(crate) tokens: &'a BTreeMap<token::Wanted, String>,
}

impl Content<'_> {
    fn objects(&self, kind: Kind) -> &BTreeMap<String, Arc<Data>> {
        match kind {
            Kind::ConfigMap => self.config_maps,
            Kind::Secret => self.secrets,
        }
    }
}

impl Files<'_> {
    /// All files by their paths in the volume; later sources win.
    pub(crate) fn content(
        &self,
        content: &Content<'_>,
    ) -> Result<BTreeMap<String, File>, VolumeError> {
        let mut all = BTreeMap::new();
        for source in &self.sources {
            let files = match source {
                Source::Keys(reference) => {
                    let objects = content.objects(reference.kind);
                    reference.content(objects, self.default_mode)?
                }
                Source::DownwardApi(items) => {
                    downward_api::content(items, content, self.default_mode)?
                }
                Source::Token(wanted) => token::content(wanted, content.tokens, self.default_mode)?,
            };
            all.extend(files);
        }
        all.keys().try_for_each(|path| check_path(path))?;
        Ok(all)
    }
}

/// An item's own mode, or the volume's.
pub(super) fn mode(own: Option<i32>, default: u32) -> u32 {
    own.and_then(|mode| u32::try_from(mode).ok())
        .unwrap_or(default)
}

/// `defaultMode` as a number.
pub(super) fn default_mode(given: Option<i32>) -> u32 {
    mode(given.or(Some(DEFAULT_MODE)), 0)
}

/// The API checks this; a node does not rely on it.
fn check_path(path: &str) -> Result<(), VolumeError> {
    let is_wrong = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(is_wrong) || path.starts_with("..") {
        return Err(VolumeError::Path(path.to_owned()));
    }
    Ok(())
}
