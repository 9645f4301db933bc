//! How a container's program comes to life: as a plain process or as a container.
//!
//! Only this module knows the difference. Both ways end in a child process of the supervisor whose outputs
//! are pipes, so everything after the start is the same.

mod process;

use std::io::{self, PipeReader};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::Pid;

use crate::protocol::{ContainerSpec, Program};

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// Our direct child.
    pub(crate) pid: Pid,
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
}

/// A command that runs beside a container's program.
#[derive(Debug)]
pub(crate) struct StartedExec {
    /// Our direct child.
    pub(crate) pid: Pid,
    /// Both its streams.
    pub(crate) output: PipeReader,
}

/// Starts a container's program. The error text is for the container's status.
pub(crate) fn start(spec: &ContainerSpec) -> Result<Started, String> {
    match &spec.program {
        Program::Process(process) => process::start(process),
        Program::Bundle(_) => Err("this supervisor runs plain processes only".to_owned()),
    }
}

/// Starts a command beside a container's program.
pub(crate) fn exec(spec: &ContainerSpec, command: &[String]) -> Result<StartedExec, String> {
    if command.is_empty() {
        return Err("the command to run is empty".to_owned());
    }
    match &spec.program {
        Program::Process(process) => process::exec(process, command),
        Program::Bundle(_) => Err("this supervisor runs plain processes only".to_owned()),
    }
}

/// A pipe whose reading end does not block.
fn output_pipe() -> io::Result<(PipeReader, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}
