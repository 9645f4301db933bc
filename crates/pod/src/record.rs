//! Containers' states on disk, for an agent that comes back after the supervisor has gone.
//!
//! `<run directory>/<container>/<attempt>.json` holds the attempt's newest state. The supervisor is the only
//! writer; each write is a new file renamed over the old one, so a reader never sees half of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext};
use crate::protocol::ContainerState;

/// Attempts of a container that are remembered: the current one and the one before.
pub const KEPT_ATTEMPTS: usize = 2;

/// Writes an attempt's state and forgets attempts that nobody asks for any more.
///
/// # Errors
/// When the run directory cannot be written.
pub fn write(run_directory: &Path, state: &ContainerState) -> Result<(), Error> {
    let path = path_of(run_directory, &state.name, state.attempt);
    let directory = run_directory.join(&state.name);
    fs::create_dir_all(&directory).context("create", &directory)?;
    let temporary = path.with_extension("tmp");
    let text = serde_json::to_vec(state).expect("a state is plain data");
    fs::write(&temporary, text).context("write", &temporary)?;
    fs::rename(&temporary, &path).context("replace", &path)?;
    if let Some(old) = state.attempt.checked_sub(KEPT_ATTEMPTS as u32) {
        let _ = fs::remove_file(path_of(run_directory, &state.name, old));
    }
    Ok(())
}

/// All states found in a run directory, by container and attempt. Files that are no states are passed over.
pub fn read_all(run_directory: &Path) -> Vec<ContainerState> {
    let mut states: Vec<ContainerState> = files_of(run_directory)
        .iter()
        .filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
        .collect();
    states.sort_by(|a, b| (&a.name, a.attempt).cmp(&(&b.name, b.attempt)));
    states
}

fn path_of(run_directory: &Path, container: &str, attempt: u32) -> PathBuf {
    run_directory
        .join(container)
        .join(format!("{attempt}.json"))
}

fn files_of(run_directory: &Path) -> Vec<PathBuf> {
    let children = |directory: &Path| {
        fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    children(run_directory)
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|directory| children(directory))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Phase;

    #[test]
    fn the_last_two_attempts_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        for attempt in 0..4 {
            let state = ContainerState {
                name: "web".into(),
                attempt,
                pid: None,
                phase: Phase::StartFailed {
                    at: "2026-01-02T03:04:05Z".parse().unwrap(),
                    message: "no".into(),
                },
            };
            write(directory.path(), &state).unwrap();
        }
        fs::write(directory.path().join("web/junk.json"), "{").unwrap();
        let attempts: Vec<u32> = read_all(directory.path())
            .iter()
            .map(|state| state.attempt)
            .collect();
        assert_eq!(attempts, [2, 3]);
    }
}
