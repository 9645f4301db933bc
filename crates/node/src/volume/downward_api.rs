//! `downwardAPI`: what a pod may know of itself, as files.

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, ResourceFieldSelector,
};

use super::VolumeError;
use super::atomic::File;
use super::content::{Content, Files, Source, default_mode, mode};
use crate::pod::{containers, fields};

/// The volume's one source.
pub(super) fn files(source: &DownwardAPIVolumeSource) -> Files<'_> {
    Files {
        default_mode: default_mode(source.default_mode),
        sources: vec![Source::DownwardApi(
            source.items.as_deref().unwrap_or_default(),
        )],
    }
}

/// The files of these items.
pub(super) fn content(
    items: &[DownwardAPIVolumeFile],
    content: &Content<'_>,
    default_mode: u32,
) -> Result<Vec<(String, File)>, VolumeError> {
    items
        .iter()
        .map(|item| {
            let text = value(item, content)?;
            let file = File::new(text.into_bytes(), mode(item.mode, default_mode));
            Ok((item.path.clone(), file))
        })
        .collect()
}

fn value(item: &DownwardAPIVolumeFile, content: &Content<'_>) -> Result<String, VolumeError> {
    if let Some(selector) = &item.field_ref {
        let path = &selector.field_path;
        let value = fields::field(content.pod, content.around, path);
        return value.ok_or_else(|| VolumeError::Field(path.clone()));
    }
    if let Some(selector) = &item.resource_field_ref {
        let value = owner(content, selector)
            .and_then(|container| fields::resource(container, content.around, selector));
        return value.ok_or_else(|| VolumeError::Field(selector.resource.clone()));
    }
    Err(VolumeError::Field(item.path.clone()))
}

fn owner<'a>(content: &'a Content<'_>, selector: &ResourceFieldSelector) -> Option<&'a Container> {
    let name = selector.container_name.as_deref()?;
    containers::find(content.pod, name).map(|(_, container)| container)
}
