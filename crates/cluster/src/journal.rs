//! The journal: one line for each thing on the machine, written before the thing is made, so that
//! after a crash at any moment every thing that exists has a line. A line without its thing is
//! harmless: undoing what is not there is no error.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Something on the machine that must not outlive the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Thing {
    /// A link in the host's namespace, with its addresses and routes.
    Link(String),
    /// A network namespace mounted at this path, with all that is in it.
    Namespace(PathBuf),
    /// A cgroup of the version 2 hierarchy, with its processes.
    Cgroup(PathBuf),
}

/// An open journal.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    known: Vec<Thing>,
}

impl Journal {
    /// Opens the journal at `path`, old lines included.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let known = read(path)?;
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(Error::file("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            known,
        })
    }

    /// Notes that `thing` is about to be made.
    pub(crate) fn note(&mut self, thing: Thing) -> Result<(), Error> {
        if self.known.contains(&thing) {
            return Ok(());
        }
        let line = serde_json::to_string(&thing).map_err(std::io::Error::from);
        line.and_then(|line| self.file.write_all(format!("{line}\n").as_bytes()))
            .map_err(Error::file("write", &self.path))?;
        self.known.push(thing);
        Ok(())
    }
}

/// What the journal at `path` names, in the order of making. None there: nothing.
pub(crate) fn read(path: &Path) -> Result<Vec<Thing>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(things(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// A last line cut short by a crash names a thing that was not made yet.
fn things(text: &str) -> Vec<Thing> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_back_once_even_after_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (link, group) = (Thing::Link("fw-1".into()), Thing::Cgroup("/c/x".into()));
        let mut journal = Journal::open(&path).unwrap();
        journal.note(link.clone()).unwrap();
        journal.note(link.clone()).unwrap();
        drop(journal);
        let torn = std::fs::read_to_string(&path).unwrap() + "{\"link\":\"fw";
        std::fs::write(&path, torn + "\n").unwrap();
        Journal::open(&path).unwrap().note(group.clone()).unwrap();
        assert_eq!(read(&path).unwrap(), [link, group]);
    }
}
