//! Images: names, the store on disk, the built-in one, and archives that are loaded into the store.
//!
//! One store serves all nodes of a machine, under one lock, and a running node is not needed to load into it.

mod builtin;
mod reference;
mod store;

pub use store::{ImageError, ImageStore};

pub(crate) use store::Image;
