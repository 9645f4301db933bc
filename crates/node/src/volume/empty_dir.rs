//! `emptyDir`: a folder, or a file system in memory, that lives as long as the pod.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use k8s_openapi::api::core::v1::EmptyDirVolumeSource;

use super::VolumeError;
use crate::pod::fields::millis;

/// Everybody may write, as kubelet has it; with a group of its own what is made in it belongs to that group.
const OPEN: u32 = 0o777;
const SET_GROUP: u32 = 0o2000;

/// An `emptyDir`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EmptyDir {
    pub(crate) in_memory: bool,
    /// Only in memory.
    pub(crate) bytes: Option<u64>,
}

impl EmptyDir {
    pub(super) fn parse(source: &EmptyDirVolumeSource) -> Result<Self, VolumeError> {
        let in_memory = match source.medium.as_deref().unwrap_or_default() {
            "" => false,
            "Memory" => true,
            _ => {
                return Err(VolumeError::Refused {
                    field: "emptyDir.medium",
                    why: "only Memory and the default are supported",
                });
            }
        };
        let bytes = source.size_limit.as_ref().and_then(millis);
        let bytes = bytes.map(|millis| u64::try_from(millis / 1000).unwrap_or(u64::MAX));
        let bytes = bytes.filter(|bytes| *bytes > 0);
        if bytes.is_some() && !in_memory {
            return Err(VolumeError::Refused {
                field: "emptyDir.sizeLimit",
                why: "it is enforced for medium Memory only; this node does not measure folders on disk yet",
            });
        }
        Ok(Self { in_memory, bytes })
    }
}

/// The permission bits of the volume's root.
pub(crate) fn mode(group: Option<u32>) -> u32 {
    OPEN | group.map_or(0, |_| SET_GROUP)
}

/// Makes the folder; one that is there keeps what is in it.
pub(crate) fn make(path: &Path, group: Option<u32>) -> Result<(), VolumeError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(VolumeError::file("create", path))?;
    if group.is_some() {
        chown(path, None, group).map_err(VolumeError::file("give away", path))?;
    }
    // After the change of its group, which takes the bit away.
    let permissions = Permissions::from_mode(mode(group));
    fs::set_permissions(path, permissions).map_err(VolumeError::file("open up", path))
}
