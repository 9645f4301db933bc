//! Images: names, the store on disk, the built-in one, and archives that are loaded into the store.
//!
//! One store serves all nodes of a machine, under one lock, and a running node is not needed to load into it.

mod archive;
mod builtin;
mod reference;
mod root;
mod store;
mod unpack;

use std::path::Path;

pub use store::{ImageError, ImageStore};
pub use unpack::UnpackError;

pub(crate) use root::read_file;
pub(crate) use store::Image;

/// Loads an archive into the store of a directory; returns the images' full names.
///
/// # Errors
/// When the archive is none, is damaged, or the store cannot be written.
pub fn load(store: &Path, archive: &Path) -> Result<Vec<String>, crate::Error> {
    Ok(ImageStore::open(store)?.load(archive)?)
}

/// An image that pods can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its full name.
    pub name: String,
    /// `sha256:…`
    pub digest: String,
    /// Of all its files.
    pub bytes: u64,
}

/// The images that pods can run: the built-in one and those that were loaded, by their names.
///
/// # Errors
/// When the store cannot be read.
pub fn list(store: &Path) -> Result<Vec<Listed>, crate::Error> {
    let images = ImageStore::open(store)?.all()?;
    let listed = images.into_iter().map(|(name, image)| Listed {
        name,
        digest: image
            .id
            .rsplit_once('@')
            .map(|(_, digest)| digest.to_owned())
            .unwrap_or_default(),
        bytes: image.size.try_into().unwrap_or(0),
    });
    Ok(listed.collect())
}
