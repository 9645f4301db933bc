//! What a container leaves when it ends: its last words, and files of attempts that nobody asks for any more.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::Worker;
use crate::config::Config;
use crate::logs::last_lines;
use crate::pod::containers;

/// So much of a termination log is reported (kubelet's `MaxContainerTerminationMessageLength`).
const LONGEST_MESSAGE: u64 = 4096;

/// So much of a log takes its place (`MaxContainerTerminationMessageLogLength` and `…Lines`).
const LONGEST_TAIL: usize = 2048;
const MOST_LINES: usize = 80;

impl Worker {
    /// Reads what an ended attempt has to say, once.
    pub(super) fn read_message(&mut self, name: &str) {
        let Some((_, container)) = containers::find(&self.pod, name) else {
            return;
        };
        let falls_back =
            container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let Some(observation) = self.observed.containers.get(name) else {
            return;
        };
        let Some((state, end)) = observation.state.as_ref().zip(observation.end()) else {
            return;
        };
        let attempt = state.attempt;
        if observation.messages.contains_key(&attempt) {
            return;
        }
        let config = &self.context.config;
        let own = tail(
            &config.termination_log(&self.uid, name, attempt),
            LONGEST_MESSAGE,
        );
        let mut message = own.unwrap_or_default();
        if message.is_empty() && falls_back && end.code != 0 {
            let log = config.log(&self.uid, name, attempt);
            message = last_lines(&log, MOST_LINES, LONGEST_TAIL).unwrap_or_default();
        }
        if let Some(observation) = self.observed.containers.get_mut(name)
            && !message.is_empty()
        {
            let text = String::from_utf8_lossy(&message).into_owned();
            observation.messages.insert(attempt, text);
            observation.messages.retain(|known, _| known + 1 >= attempt);
        }
    }
}

/// The end of a file.
fn tail(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(length)))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes what attempts before this one wrote over their image, their bundles, and words older than the last.
/// Logs stay.
pub(super) fn remove_old_attempts(config: &Config, uid: &str, container: &str, attempt: u32) {
    for old in 0..attempt {
        for folder in [
            config.writable(uid, container, old),
            config.bundle(uid, container, old),
        ] {
            if folder.exists()
                && let Err(error) = fs::remove_dir_all(&folder)
            {
                tracing::warn!(pod = uid, container, %error, "an ended attempt's files are still there");
            }
        }
        if old + 1 < attempt {
            let _ = fs::remove_file(config.termination_log(uid, container, old));
        }
    }
}
