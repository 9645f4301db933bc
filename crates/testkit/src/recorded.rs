//! Recorded truth: questions, and what an unmodified kube-apiserver answered to them.
//!
//! A [`Recording`] is a list of calls made in a fresh namespace. What differs from run to run is a
//! placeholder in the recorded answers: `{{uid:1}}` binds at first sight and must be equal afterwards;
//! `{{time}}`, `{{rv}}` and `{{age}}` match anything of their kind. Everything else must be equal: every
//! key, every text but the prose of table columns, and the order of lists.

mod ask;
mod compare;
mod pointer;
mod replay;
mod step;

pub use ask::{Answer, Ask, InProcess};
pub use replay::replay;
pub use step::{Recording, Step};

use std::path::{Path, PathBuf};

/// The recordings of an area below `root`, in name order.
///
/// # Errors
/// An area without recordings, which would prove nothing.
pub fn area(root: &Path, area: &str) -> Result<Vec<PathBuf>, String> {
    let folder = root.join(area);
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    if files.is_empty() {
        Err(format!("{}: no recordings", folder.display()))
    } else {
        Ok(files)
    }
}
