//! The image store on disk, and what an image is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{builtin, reference};

/// Which images are there: name → image.
const INDEX: &str = "images.json";

/// The images of a machine.
#[derive(Clone, Debug)]
pub struct ImageStore {
    directory: PathBuf,
}

/// What a container needs of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Image {
    /// `name@sha256:…`, for `status.imageID`.
    pub(crate) id: String,
    /// Directories with the image's files, topmost first.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) working_directory: String,
    /// `user`, `user:group`, by name or number.
    pub(crate) user: String,
    /// Comes with Fairway.
    pub(crate) builtin: bool,
    /// Of all its files.
    pub(crate) size: i64,
}

/// Why an image could not be found, read or loaded.
#[derive(Debug, Error)]
pub enum ImageError {
    /// It is no name of an image.
    #[error("{0:?} is no image name")]
    Name(String),
    /// It is not in the store.
    #[error(
        "image {0:?} is not in this machine's store, and pulling from registries is not built yet: save it as an archive (docker save -o ARCHIVE IMAGE) and load it with `fairway image load ARCHIVE`, or use the built-in image fairway/echo"
    )]
    Absent(String),
    /// A file refused.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The store's index was damaged.
    #[error("{} is damaged: {source}; load the images again after removing it", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What the parser met.
        source: serde_json::Error,
    },
}

impl ImageStore {
    /// The store in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        fs::create_dir_all(directory).context("create", directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// An image by a name as it stands in a pod.
    pub(crate) fn find(&self, name: &str) -> Result<Image, ImageError> {
        let full = reference::normalise(name).ok_or_else(|| ImageError::Name(name.to_owned()))?;
        if builtin::is_named(&full) {
            return builtin::image(&self.directory);
        }
        let mut index = self.index()?;
        index
            .remove(&full)
            .ok_or_else(|| ImageError::Absent(name.to_owned()))
    }

    /// All loaded images by their full names.
    pub(crate) fn index(&self) -> Result<BTreeMap<String, Image>, ImageError> {
        let path = self.directory.join(INDEX);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(source).context("read", &path),
        };
        serde_json::from_slice(&text).map_err(|source| ImageError::Index { path, source })
    }
}

/// Adds the action and the path to an I/O error.
pub(super) trait IoContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, ImageError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, ImageError> {
        self.map_err(|source| ImageError::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_image_is_a_program_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(directory.path()).unwrap();
        let image = store.find("fairway/echo:any").unwrap();
        let program = fs::read(image.layers[0].join("echo")).unwrap();
        assert_eq!(program, kernel::echo::PROGRAM);
        assert_eq!(image, store.find("docker.io/fairway/echo").unwrap());
    }

    #[test]
    fn an_absent_image_says_what_works() {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(directory.path()).unwrap();
        let error = store.find("nginx").unwrap_err().to_string();
        assert!(error.contains("fairway image load"), "{error}");
        assert!(matches!(store.find("A B"), Err(ImageError::Name(_))));
    }
}
