//! Images: names, the store on disk, the built-in one, and archives that are loaded into the store.
//!
//! One store serves all nodes of a machine, under one lock, and a running node is not needed to load into it.

mod archive;
mod builtin;
mod reference;
mod store;
mod unpack;

use std::path::Path;

pub use store::{ImageError, ImageStore};
pub use unpack::UnpackError;

pub(crate) use store::Image;

/// Loads an archive into the store of a directory; returns the images' full names.
///
/// # Errors
/// When the archive is none, is damaged, or the store cannot be written.
pub fn load(store: &Path, archive: &Path) -> Result<Vec<String>, crate::Error> {
    Ok(ImageStore::open(store)?.load(archive)?)
}
