//! One container of the pod: its newest attempt, its outputs and its end.

use std::collections::BTreeMap;
use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::unistd::Pid;

use crate::log::{Log, Stream};
use crate::protocol::{ContainerSpec, ContainerState, Phase};
use crate::runtime::{self, Handle, Streams};

/// One read from a container's output, and so the longest log write.
const CHUNK: usize = 16 * 1024;

/// The exit code of a program that SIGKILL ended.
const KILLED: i32 = 128 + 9;

/// A container with its newest attempt.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) spec: ContainerSpec,
    pub(crate) state: ContainerState,
    /// The attempt before.
    pub(crate) previous: Option<ContainerState>,
    run: Option<Run>,
}

/// What exists only while the program runs.
#[derive(Debug)]
struct Run {
    pid: Pid,
    started_at: Timestamp,
    log: Log,
    outputs: BTreeMap<Stream, PipeReader>,
    handle: Handle,
    kill_at: Option<Instant>,
}

impl Container {
    /// Starts an attempt. A start that fails is a state, too.
    pub(crate) fn start(
        spec: ContainerSpec,
        previous: Option<ContainerState>,
        run_directory: &Path,
    ) -> Self {
        let (run, phase) = match Run::start(&spec, run_directory) {
            Ok(run) => {
                let started_at = run.started_at;
                (Some(run), Phase::Running { started_at })
            }
            Err(message) => {
                let at = Timestamp::now();
                (None, Phase::StartFailed { at, message })
            }
        };
        Self {
            state: ContainerState {
                name: spec.name.clone(),
                attempt: spec.attempt,
                pid: run.as_ref().map(|run| run.pid.as_raw()),
                phase,
            },
            spec,
            previous,
            run,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    pub(crate) fn is_process(&self, pid: Pid) -> bool {
        self.run.as_ref().is_some_and(|run| run.pid == pid)
    }

    /// The outputs that are still open.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        self.run
            .iter()
            .flat_map(|run| run.outputs.iter())
            .map(|(stream, reader)| (*stream, reader.as_fd()))
    }

    /// Moves what one read brings into the log; says whether there may be more.
    pub(crate) fn copy_output(&mut self, stream: Stream) -> bool {
        self.run.as_mut().is_some_and(|run| run.copy(stream))
    }

    /// Asks the program to end, and sets when it will be made to.
    pub(crate) fn stop(&mut self, grace: Duration, now: Instant) {
        let Some(run) = &mut self.run else { return };
        if run.kill_at.is_none() {
            run.handle.stop(run.pid);
        }
        let wanted = now + grace;
        run.kill_at = Some(run.kill_at.map_or(wanted, |at| at.min(wanted)));
    }

    /// When the grace period ends.
    pub(crate) fn kill_at(&self) -> Option<Instant> {
        self.run.as_ref()?.kill_at
    }

    /// Ends the program and everything that belongs to it.
    pub(crate) fn kill(&mut self) {
        if let Some(run) = &mut self.run {
            run.kill_at = None;
            run.handle.kill(run.pid);
        }
    }

    /// Starts a command beside the program.
    pub(crate) fn exec(&self, command: &[String], streams: Streams) -> Result<Pid, String> {
        match &self.run {
            Some(run) => runtime::exec(&run.handle, command, streams),
            None => Err(format!("container {:?} is not running", self.spec.name)),
        }
    }

    /// The program has ended: the rest goes too, and what it wrote last is logged.
    pub(crate) fn ended(&mut self, exit_code: i32, signal: Option<i32>) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        let memory_was_short = run.handle.end(run.pid);
        for stream in [Stream::Stdout, Stream::Stderr] {
            while run.copy(stream) {}
        }
        self.state.pid = None;
        self.state.phase = Phase::Exited {
            started_at: run.started_at,
            finished_at: Timestamp::now(),
            exit_code,
            signal,
            // A program whose child was killed for it usually passes the code on.
            out_of_memory: memory_was_short && exit_code == KILLED,
        };
    }
}

impl Run {
    fn start(spec: &ContainerSpec, run_directory: &Path) -> Result<Self, String> {
        let log = Log::open(&spec.log)
            .map_err(|error| format!("cannot open the log {}: {error}", spec.log.display()))?;
        let started = runtime::start(spec, run_directory)?;
        Ok(Self {
            pid: started.pid,
            started_at: Timestamp::now(),
            log,
            outputs: BTreeMap::from([
                (Stream::Stdout, started.stdout),
                (Stream::Stderr, started.stderr),
            ]),
            handle: started.handle,
            kill_at: None,
        })
    }

    /// Logs one read of a stream; says whether there may be more. A full disk loses log lines, as
    /// everywhere; it must not stop the container.
    fn copy(&mut self, stream: Stream) -> bool {
        let Some(reader) = self.outputs.get_mut(&stream) else {
            return false;
        };
        let mut chunk = [0; CHUNK];
        match reader.read(&mut chunk) {
            Ok(length) if length > 0 => {
                let _ = self.log.write(stream, &chunk[..length], Timestamp::now());
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            _ => {
                self.outputs.remove(&stream);
                false
            }
        }
    }
}
