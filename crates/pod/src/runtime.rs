//! How a container's program comes to life: as a plain process or as a container.
//!
//! Only this module knows the difference. Both ways end in a child process of the supervisor whose outputs
//! are pipes, so everything after the start is the same.

mod bundle;
mod process;

use std::fs::OpenOptions;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::protocol::{ContainerSpec, Process, Program};

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// Our direct child.
    pub(crate) pid: Pid,
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
    pub(crate) handle: Handle,
}

/// What is needed to end a program and to clean up after it.
#[derive(Debug)]
pub(crate) enum Handle {
    /// A plain process, the leader of its group.
    Process(Process),
    /// A container.
    Bundle(Box<bundle::Container>),
}

impl Handle {
    /// Asks the program to end.
    pub(crate) fn stop(&self, pid: Pid) {
        match self {
            Self::Process(_) => drop(kill(pid, Signal::SIGTERM)),
            Self::Bundle(container) => container.stop(pid),
        }
    }

    /// Ends the program and all that belongs to it.
    pub(crate) fn kill(&self, pid: Pid) {
        match self {
            Self::Process(_) => kill_session(pid),
            Self::Bundle(container) => container.kill(pid),
        }
    }

    /// The program has ended: the rest goes, too. Says whether memory was short.
    pub(crate) fn end(&mut self, pid: Pid) -> bool {
        match self {
            Self::Process(_) => {
                kill_session(pid);
                false
            }
            Self::Bundle(container) => container.end(),
        }
    }
}

fn kill_session(pid: Pid) {
    let _ = killpg(pid, Signal::SIGKILL);
    let _ = kill(pid, Signal::SIGKILL);
}

/// What a command reads and writes; nothing where there is none.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

impl Streams {
    /// Input, output and errors, all of them there.
    fn complete(self) -> io::Result<[OwnedFd; 3]> {
        let nothing = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        let or_nothing = |stream: Option<OwnedFd>| match stream {
            Some(stream) => Ok(stream),
            None => nothing.try_clone().map(OwnedFd::from),
        };
        Ok([
            or_nothing(self.stdin)?,
            or_nothing(self.stdout)?,
            or_nothing(self.stderr)?,
        ])
    }
}

/// Starts a container's program. The error text is for the container's status.
pub(crate) fn start(spec: &ContainerSpec, run_directory: &Path) -> Result<Started, String> {
    match &spec.program {
        Program::Process(process) => process::start(process),
        Program::Bundle(bundle) => bundle::start(bundle, &spec.name, run_directory),
    }
}

/// Starts a command beside a container's program. It is our direct child; where its input is a terminal, that
/// becomes its session's.
pub(crate) fn exec(handle: &Handle, command: &[String], streams: Streams) -> Result<Pid, String> {
    if command.is_empty() {
        return Err("the command to run is empty".to_owned());
    }
    let streams = streams
        .complete()
        .map_err(|error| format!("cannot open /dev/null: {error}"))?;
    match handle {
        Handle::Process(process) => process::exec(process, command, streams),
        Handle::Bundle(container) => container.exec(command, streams),
    }
}

/// A pipe whose reading end does not block.
pub(crate) fn output_pipe() -> io::Result<(PipeReader, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}
