//! The plain form: a child process in the pod's namespaces that shares the node's files.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Pid;

use super::{Handle, Started, output_pipe};
use crate::protocol::Process;

/// Starts the program as the leader of a session of its own, so that its whole group can be ended.
pub(super) fn start(process: &Process) -> Result<Started, String> {
    let mut command = Command::new(&process.program);
    command.args(&process.arguments);
    surround(&mut command, process);
    let (pid, stdout, stderr) =
        launch(command).map_err(|error| failure(&process.program, &error))?;
    Ok(Started {
        pid,
        stdout,
        stderr,
        handle: Handle::Process(process.clone()),
    })
}

/// Starts a command with the program's environment and directory.
pub(super) fn exec(
    process: &Process,
    words: &[String],
    [stdin, stdout, stderr]: [OwnedFd; 3],
) -> Result<Pid, String> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    surround(&mut command, process);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let child = command.spawn();
    let child = child.map_err(|error| failure(Path::new(&words[0]), &error))?;
    Ok(pid_of(child.id()))
}

fn surround(command: &mut Command, process: &Process) {
    command
        .env_clear()
        .envs(
            process
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .current_dir(process.directory.as_deref().unwrap_or(Path::new("/")))
        .stdin(Stdio::null());
    kernel::spawn::own_session_until_parent_dies(command);
}

fn launch(mut command: Command) -> io::Result<(Pid, PipeReader, PipeReader)> {
    let (stdout, stdout_writer) = output_pipe()?;
    let (stderr, stderr_writer) = output_pipe()?;
    let child = command
        .stdout(stdout_writer)
        .stderr(stderr_writer)
        .spawn()?;
    Ok((pid_of(child.id()), stdout, stderr))
}

fn pid_of(id: u32) -> Pid {
    Pid::from_raw(id.try_into().expect("Linux process ids are positive i32"))
}

/// Words the failure the way container runtimes do, so that `kubectl describe` reads as usual.
fn failure(program: &Path, error: &io::Error) -> String {
    let program = program.display();
    format!("failed to start container process: exec \"{program}\": {error}")
}
