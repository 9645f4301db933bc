//! A command that runs beside a container's program, until it ends, its time is up, or nobody is left who
//! reads what it writes.

use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::container::Container;
use crate::protocol::{EXEC_OUTPUT_LIMIT, ExecSpec, Outcome, StreamSpec};
use crate::runtime::{Streams, output_pipe};

/// A running command and who waits for it.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The connection that asked.
    pub(crate) connection: u64,
    /// The request's id there.
    pub(crate) request: u64,
    pub(crate) pid: Pid,
    /// When it is killed.
    pub(crate) deadline: Option<Instant>,
    /// Whether it is of no use once the connection has ended.
    pub(crate) needs_connection: bool,
    reader: Option<PipeReader>,
    output: Vec<u8>,
    timed_out: bool,
}

impl Exec {
    /// Starts a command whose output is kept.
    pub(crate) fn start(
        container: &Container,
        spec: &ExecSpec,
        who: (u64, u64),
    ) -> Result<Self, String> {
        let failed = |error| format!("cannot make a pipe: {error}");
        let (reader, writer) = output_pipe().map_err(failed)?;
        let streams = Streams {
            stdin: None,
            stdout: Some(writer.try_clone().map_err(failed)?.into()),
            stderr: Some(writer.into()),
        };
        let pid = container.exec(&spec.command, streams)?;
        let deadline = Instant::now() + Duration::from_millis(spec.timeout_millis);
        Ok(Self {
            deadline: Some(deadline),
            reader: Some(reader),
            ..Self::new(pid, who)
        })
    }

    /// Starts a command with streams whose other ends somebody else holds.
    pub(crate) fn start_with_streams(
        container: &Container,
        spec: &StreamSpec,
        descriptors: Vec<OwnedFd>,
        who: (u64, u64),
    ) -> Result<Self, String> {
        let wanted = [spec.stdin, spec.stdout, spec.stderr];
        let count = wanted.iter().filter(|wanted| **wanted).count();
        if descriptors.len() != count {
            let came = descriptors.len();
            return Err(format!("{count} streams were announced and {came} came"));
        }
        let mut descriptors = descriptors.into_iter();
        let [stdin, stdout, stderr] =
            wanted.map(|wanted| wanted.then(|| descriptors.next()).flatten());
        let streams = Streams {
            stdin,
            stdout,
            stderr,
        };
        let pid = container.exec(&spec.command, streams)?;
        Ok(Self {
            needs_connection: true,
            ..Self::new(pid, who)
        })
    }

    fn new(pid: Pid, (connection, request): (u64, u64)) -> Self {
        Self {
            connection,
            request,
            pid,
            deadline: None,
            needs_connection: false,
            reader: None,
            output: Vec::new(),
            timed_out: false,
        }
    }

    /// Its output, while it is open.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// Takes what one read brings; says whether there may be more.
    pub(crate) fn read_output(&mut self) -> bool {
        let Some(reader) = &mut self.reader else {
            return false;
        };
        let mut chunk = [0; 4096];
        match reader.read(&mut chunk) {
            Ok(length) if length > 0 => {
                let room = EXEC_OUTPUT_LIMIT.saturating_sub(self.output.len());
                self.output.extend_from_slice(&chunk[..length.min(room)]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            _ => {
                self.reader = None;
                false
            }
        }
    }

    /// Kills it; its end is reported as "ran out of time".
    pub(crate) fn give_up(&mut self) {
        self.timed_out = true;
        self.kill();
    }

    /// Kills it and its group.
    pub(crate) fn kill(&self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = kill(self.pid, Signal::SIGKILL);
    }

    /// It has ended: the answer to whoever waits.
    pub(crate) fn finish(mut self, exit_code: i32) -> Outcome {
        while self.read_output() {}
        Outcome::Exec {
            exit_code: (!self.timed_out).then_some(exit_code),
            output: String::from_utf8_lossy(&self.output).into_owned(),
        }
    }
}
