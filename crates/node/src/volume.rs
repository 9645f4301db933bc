//! Volumes: what a pod's containers see of folders, ConfigMaps, Secrets and themselves.
//!
//! A volume of files is decided as a list of files ([`Files::content`], pure) and written by one atomic writer
//! ([`atomic`]), so a reader sees the old files or the new ones. Such volumes live in the run directory, which is
//! in memory: no secret touches a disk. Folders live in the data directory, for they outlast a reboot.

pub(crate) mod atomic;
mod content;
mod downward_api;
pub(crate) mod empty_dir;
pub(crate) mod host_path;
mod keys;
mod projected;
pub(crate) mod subpath;
pub(crate) mod token;

use std::io;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Pod, Volume};
use thiserror::Error;

pub(crate) use content::{Content, Files, Source};
pub(crate) use token::Wanted;

/// What a volume is.
pub(crate) enum Kind<'a> {
    EmptyDir(empty_dir::EmptyDir),
    HostPath(host_path::HostPath<'a>),
    Files(Files<'a>),
}

/// Why a volume cannot be had; texts that kubelet has, too, are kubelet's.
#[derive(Debug, Error)]
pub(crate) enum VolumeError {
    #[error("{kind} \"{name}\" not found")]
    Missing { kind: &'static str, name: String },
    #[error("{what}references non-existent {kind} key: {key}")]
    MissingKey {
        what: &'static str,
        kind: &'static str,
        key: String,
    },
    #[error("{0} is no field that a volume can hold")]
    Field(String),
    #[error("path {0:?} leaves the volume")]
    Path(String),
    #[error(
        "volumes of kind {0} are not supported by this node; emptyDir, configMap, secret, downwardAPI, projected and hostPath are"
    )]
    Unsupported(&'static str),
    #[error("{field}: {why}")]
    Refused {
        field: &'static str,
        why: &'static str,
    },
    #[error("hostPath type check failed: {} is not a {wanted}", path.display())]
    HostPath { path: PathBuf, wanted: &'static str },
    #[error("failed to fetch token: {0}")]
    Token(String),
    #[error("{0} has not arrived from the API server yet")]
    NotYet(String),
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl VolumeError {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// What a volume is, or that this node has no such volumes.
pub(crate) fn kind(volume: &Volume) -> Result<Kind<'_>, VolumeError> {
    if let Some(source) = &volume.config_map {
        return Ok(Kind::Files(keys::of_config_map(source)));
    }
    if let Some(source) = &volume.secret {
        return Ok(Kind::Files(keys::of_secret(source)));
    }
    if let Some(source) = &volume.downward_api {
        return Ok(Kind::Files(downward_api::files(source)));
    }
    if let Some(source) = &volume.projected {
        return projected::files(source).map(Kind::Files);
    }
    if let Some(source) = &volume.empty_dir {
        return empty_dir::EmptyDir::parse(source).map(Kind::EmptyDir);
    }
    if let Some(source) = &volume.host_path {
        return Ok(Kind::HostPath(host_path::HostPath::of(source)));
    }
    Err(VolumeError::Unsupported(name_of_kind(volume)))
}

/// The field of a volume that says what it is.
fn name_of_kind(volume: &Volume) -> &'static str {
    let named = [
        (
            "persistentVolumeClaim",
            volume.persistent_volume_claim.is_some(),
        ),
        ("ephemeral", volume.ephemeral.is_some()),
        ("csi", volume.csi.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("image", volume.image.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("fc", volume.fc.is_some()),
    ];
    let found = named.into_iter().find(|(_, given)| *given);
    found.map_or("other than these", |(name, _)| name)
}

/// A pod's volumes.
pub(crate) fn all(pod: &Pod) -> &[Volume] {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default()
}

/// The group that a pod's volumes belong to.
pub(crate) fn group(pod: &Pod) -> Option<u32> {
    let context = pod.spec.as_ref()?.security_context.as_ref()?;
    u32::try_from(context.fs_group?).ok()
}

#[cfg(test)]
mod tests;
