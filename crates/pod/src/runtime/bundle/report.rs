//! How the processes between the supervisor and a container's program say what went wrong.
//!
//! A start passes through two processes that share nothing with us but descriptors. They inherit a pipe that
//! closes when the program is executed, so its end means "runs". Before that they write records into it: the
//! reason, when it is ours to give, and what the runtime library logs as an error, because the messages it
//! hands back name the step but not the cause.

use std::fmt::{Debug, Write as _};
use std::io::{self, PipeReader, PipeWriter, Read, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// A program that is not executed by then is taken to run: the file of a program on a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Marks the reason; all other records are details.
const REASON: u8 = b'!';
const DETAIL: u8 = b'-';

/// The writing end, here and in the processes cloned from here. Nobody clones while it is locked: there is
/// one thread.
static WRITER: Mutex<Option<PipeWriter>> = Mutex::new(None);

/// The reading end of a start's pipe.
#[derive(Debug)]
pub(super) struct Report {
    reader: PipeReader,
}

impl Report {
    /// Opens the pipe for one start.
    pub(super) fn open() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        *lock() = Some(writer);
        Ok(Self { reader })
    }

    /// Waits until the program runs (`None`) or has failed for good: then the reason, or the first detail.
    pub(super) fn read(mut self) -> Option<String> {
        *lock() = None;
        let mut text = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while self.wait(deadline) {
            let mut chunk = [0; 4096];
            match self.reader.read(&mut chunk) {
                Ok(length) if length > 0 => text.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        choose(&text)
    }

    fn wait(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }
}

/// Gives the reason for a failure, from whichever process.
pub(super) fn reason(text: &str) {
    record(REASON, text);
}

/// Has the library's error events reported while a start is under way. Once per process.
pub(super) fn listen() {
    // Fails only when it is done already.
    let _ = tracing::subscriber::set_global_default(Errors);
}

fn record(kind: u8, text: &str) {
    if let Some(writer) = &mut *lock() {
        let mut bytes = vec![kind];
        bytes.extend(text.bytes().filter(|&byte| byte != 0));
        bytes.push(0);
        // Nobody may be there to read it any more.
        let _ = writer.write_all(&bytes);
    }
}

fn lock() -> MutexGuard<'static, Option<PipeWriter>> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn choose(text: &[u8]) -> Option<String> {
    let records = || {
        text.split(|&byte| byte == 0)
            .filter(|record| !record.is_empty())
    };
    let reason = records().find(|record| record[0] == REASON);
    let chosen = reason.or_else(|| records().next())?;
    Some(String::from_utf8_lossy(&chosen[1..]).into_owned())
}

/// Records the library's error events; there are no spans to keep.
struct Errors;

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        record(DETAIL, &format!("{}{}", text.message, text.fields));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event as text: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, ", {} {value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_preferred_and_else_the_first_detail() {
        assert_eq!(choose(b""), None);
        assert_eq!(choose(b"-deep\0-shallow\0").as_deref(), Some("deep"));
        assert_eq!(choose(b"-deep\0!why\0-x\0").as_deref(), Some("why"));
    }
}
