//! The image store on disk, and what an image is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::unpack::UnpackError;
use super::{archive, builtin, reference};

/// Which images are there: name → image.
const INDEX: &str = "images.json";

/// Which layers are there: chain id → number and size.
const LAYERS: &str = "layers.json";

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
    /// The signal that asks its program to end, as the image has it; none is SIGTERM.
    pub(crate) stop_signal: String,
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
    /// It is no archive that can be loaded.
    #[error("{} cannot be loaded: {message}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A layer of an archive.
    #[error("layer {member} was not unpacked: {source}")]
    Layer {
        /// The layer's name in the archive.
        member: String,
        /// Why.
        source: UnpackError,
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

    /// All images by their full names, the built-in one among them.
    pub(crate) fn all(&self) -> Result<BTreeMap<String, Image>, ImageError> {
        let mut all = self.index()?;
        all.insert(
            builtin::FULL_NAME.to_owned(),
            builtin::image(&self.directory)?,
        );
        Ok(all)
    }

    /// All loaded images by their full names.
    fn index(&self) -> Result<BTreeMap<String, Image>, ImageError> {
        read(&self.directory.join(INDEX))
    }

    /// Loads an archive; returns the images' full names.
    ///
    /// # Errors
    /// When the archive is none, is damaged, or the store cannot be written.
    pub fn load(&self, archive: &Path) -> Result<Vec<String>, ImageError> {
        archive::load(&mut Store::lock(&self.directory)?, archive)
    }
}

/// The store, locked for a change: one process at a time, though many read.
pub(super) struct Store {
    directory: PathBuf,
    _lock: File,
}

/// A layer that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KnownLayer {
    number: u64,
    size: u64,
}

impl Store {
    fn lock(directory: &Path) -> Result<Self, ImageError> {
        let path = directory.join("lock");
        let lock = File::create(&path).context("create", &path)?;
        lock.lock().context("lock", &path)?;
        // What a killed process left half-way; nobody else is at work now.
        let _ = fs::remove_dir_all(directory.join("ingest"));
        for name in ["ingest", "layers"] {
            let path = directory.join(name);
            fs::create_dir_all(&path).context("create", &path)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// A directory for an archive's members.
    pub(super) fn ingest(&self) -> Result<Ingest, ImageError> {
        let path = self.directory.join("ingest").join("members");
        fs::create_dir(&path).context("create", &path)?;
        Ok(Ingest(path))
    }

    /// A layer that is there already.
    pub(super) fn layer(&self, chain: &str) -> Option<(PathBuf, u64)> {
        let known = self.layers().ok()?.remove(chain)?;
        Some((self.layer_path(known.number), known.size))
    }

    /// An empty directory for a layer that is being unpacked.
    pub(super) fn new_layer(&self) -> Result<PathBuf, ImageError> {
        let path = self.directory.join("ingest").join("layer");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).context("create", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("open up", &path)?;
        Ok(path)
    }

    /// Gives an unpacked layer its number. The directory is there before the index says so.
    pub(super) fn keep_layer(
        &self,
        chain: &str,
        unpacked: &Path,
        size: u64,
    ) -> Result<(PathBuf, u64), ImageError> {
        let mut layers = self.layers()?;
        let mut number = layers.values().map(|layer| layer.number).max().unwrap_or(0) + 1;
        while self.layer_path(number).exists() {
            number += 1;
        }
        let path = self.layer_path(number);
        fs::rename(unpacked, &path).context("move a layer to", &path)?;
        layers.insert(chain.to_owned(), KnownLayer { number, size });
        write(&self.directory.join(LAYERS), &layers)?;
        Ok((path, size))
    }

    /// Makes an image known by a full name.
    pub(super) fn put(&self, name: &str, image: Image) -> Result<(), ImageError> {
        let path = self.directory.join(INDEX);
        let mut index: BTreeMap<String, Image> = read(&path)?;
        index.insert(name.to_owned(), image);
        write(&path, &index)
    }

    fn layers(&self) -> Result<BTreeMap<String, KnownLayer>, ImageError> {
        read(&self.directory.join(LAYERS))
    }

    /// Numbers are short on purpose: overlay's options have one page for all of a container's layers.
    fn layer_path(&self, number: u64) -> PathBuf {
        self.directory.join("layers").join(number.to_string())
    }
}

/// A directory that goes when it is no longer needed.
pub(super) struct Ingest(PathBuf);

impl Ingest {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An absent index is an empty one.
fn read<T: Default + for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ImageError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(source) => return Err(source).context("read", path),
    };
    serde_json::from_slice(&text).map_err(|source| ImageError::Index {
        path: path.to_owned(),
        source,
    })
}

/// Replaces an index; readers see the old one or the new one.
fn write<T: Serialize>(path: &Path, index: &T) -> Result<(), ImageError> {
    let temporary = path.with_extension("tmp");
    let text = serde_json::to_vec_pretty(index).expect("an index is plain data");
    fs::write(&temporary, text).context("write", &temporary)?;
    fs::rename(&temporary, path).context("replace", path)
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
