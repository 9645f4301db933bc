//! A command that runs beside a container's program, until it ends or its time is up.

use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::container::Container;
use crate::protocol::{EXEC_OUTPUT_LIMIT, ExecSpec, Outcome};

/// A running command and who waits for it.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The connection that asked.
    pub(crate) connection: u64,
    /// The request's id there.
    pub(crate) request: u64,
    pub(crate) pid: Pid,
    /// When it is killed.
    pub(crate) deadline: Instant,
    reader: Option<PipeReader>,
    output: Vec<u8>,
    timed_out: bool,
}

impl Exec {
    /// Starts the command in a container's surroundings.
    pub(crate) fn start(
        container: &Container,
        spec: &ExecSpec,
        (connection, request): (u64, u64),
    ) -> Result<Self, String> {
        let started = container.exec(&spec.command)?;
        Ok(Self {
            connection,
            request,
            pid: started.pid,
            deadline: Instant::now() + Duration::from_millis(spec.timeout_millis),
            reader: Some(started.output),
            output: Vec::new(),
            timed_out: false,
        })
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
