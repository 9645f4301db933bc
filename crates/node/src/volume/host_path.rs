//! `hostPath`: a file or folder of the machine. All nodes of a standalone cluster share the machine's files, so it
//! is off unless the operator allows it.

use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::VolumeError;

/// A `hostPath`, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostPath<'a> {
    pub(crate) path: &'a Path,
    kind: &'a str,
}

impl<'a> HostPath<'a> {
    pub(super) fn of(source: &'a HostPathVolumeSource) -> Self {
        Self {
            path: Path::new(&source.path),
            kind: source.type_.as_deref().unwrap_or_default(),
        }
    }

    /// Makes sure that it is there and what it should be.
    pub(crate) fn prepare(&self, allowed: bool) -> Result<(), VolumeError> {
        if !allowed {
            return Err(VolumeError::Refused {
                field: "hostPath",
                why: "all nodes of this cluster share the machine's files, so these volumes are off; --allow-host-path switches them on",
            });
        }
        let path = self.path;
        match self.kind {
            "DirectoryOrCreate" | "" if !path.exists() => {
                fs::create_dir_all(path).map_err(VolumeError::file("create", path))?;
            }
            "FileOrCreate" if !path.exists() => {
                fs::File::create_new(path).map_err(VolumeError::file("create", path))?;
            }
            _ => {}
        }
        let wanted: (fn(&FileType) -> bool, &'static str) = match self.kind {
            "Directory" | "DirectoryOrCreate" => (FileType::is_dir, "directory"),
            "File" | "FileOrCreate" => (FileType::is_file, "file"),
            "Socket" => (FileTypeExt::is_socket, "socket file"),
            "CharDevice" => (FileTypeExt::is_char_device, "character device"),
            "BlockDevice" => (FileTypeExt::is_block_device, "block device"),
            _ => return Ok(()),
        };
        let holds = fs::metadata(path).is_ok_and(|found| wanted.0(&found.file_type()));
        if holds {
            return Ok(());
        }
        Err(VolumeError::HostPath {
            path: path.to_owned(),
            wanted: wanted.1,
        })
    }
}
