//! The isolated form: a container made from an OCI bundle by libcontainer, inside this process.
//!
//! libcontainer clones the process and goes on with ordinary Rust, which is safe only because there is one
//! thread. What it makes is a direct child, so the end is learnt by waiting as for any other.

mod home;
mod program;
mod report;
mod requirements;
mod root;

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kernel::Cgroup;
use kernel::cgroup;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oci_spec::runtime::{Process, Spec};

use super::{Handle, Started, output_pipe};
use crate::protocol::Bundle;
use program::Program;
use report::Report;
use requirements::Requirements;
use root::Root;

/// Where the runtime library keeps its files, in the pod's run directory. No container's name has a dot.
const STATE: &str = ".containers";

/// The library leaves one such socket behind per exec.
const EXEC_SOCKETS: &str = "tenant-notify-";

/// The library's errors when a process of its own ends too early, and when version 1 refuses a limit that is
/// below what is used already.
const TOO_LITTLE: [&str; 2] = ["BrokenChannel", "UnableToSet"];

/// How long an ended container's groups may keep us waiting; what is still there then goes with the pod's.
const BUSY: Duration = Duration::from_millis(200);

/// A container that runs, or has just ended.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
    /// The library's files of all containers.
    state: PathBuf,
    requirements: Requirements,
    stop_signal: i32,
    oom_score_adj: Option<i32>,
    groups: Vec<Cgroup>,
    out_of_memory_kills: u64,
}

/// Starts a container.
pub(super) fn start(bundle: &Bundle, name: &str, run_directory: &Path) -> Result<Started, String> {
    report::listen();
    let path = bundle.directory.join("config.json");
    let mut spec = Spec::load(&path)
        .map_err(|error| format!("cannot read {}: {}", path.display(), chain(&error)))?;
    let root = Root::mount(bundle)?;
    if home::complete(&mut spec, root.path()) {
        spec.save(&path)
            .map_err(|error| format!("cannot write {}: {}", path.display(), chain(&error)))?;
    }
    let mut container = Container {
        name: name.to_owned(),
        state: run_directory.join(STATE),
        requirements: Requirements::of(&spec)?,
        stop_signal: bundle.stop_signal.unwrap_or(Signal::SIGTERM as i32),
        oom_score_adj: bundle.oom_score_adj,
        groups: Vec::new(),
        out_of_memory_kills: 0,
    };
    // Of an attempt before, whose group stayed busy, or of a supervisor before this one.
    container.clean_up();
    root.make_working_directory(&spec)?;
    let started = container.create(bundle);
    drop(root);
    container.find_groups();
    match started {
        Ok((pid, stdout, stderr)) => Ok(Started {
            pid,
            stdout,
            stderr,
            handle: Handle::Bundle(Box::new(container)),
        }),
        Err(text) => {
            let text = container.explain(text);
            container.kill_group();
            container.clean_up();
            Err(text)
        }
    }
}

type Outputs = (Pid, std::io::PipeReader, std::io::PipeReader);

impl Container {
    /// Has the library make the container and start its program.
    fn create(&self, bundle: &Bundle) -> Result<Outputs, String> {
        let pipe = || output_pipe().map_err(|error| format!("cannot make a pipe: {error}"));
        let ((stdout, stdout_writer), (stderr, stderr_writer)) = (pipe()?, pipe()?);
        let nothing =
            File::open("/dev/null").map_err(|error| format!("cannot open /dev/null: {error}"))?;
        let streams = [nothing.into(), stdout_writer.into(), stderr_writer.into()];
        let report = open_report()?;
        let build = || {
            let mut container = self
                .builder(streams)?
                .as_init(&bundle.directory)
                .with_systemd(false)
                .build()?;
            container.start()?;
            Ok(container.pid().map(|pid| Pid::from_raw(pid.as_raw())))
        };
        let built = have_done(self.oom_score_adj, build);
        let pid = verdict(built, report)?.ok_or("the container has no process")?;
        Ok((pid, stdout, stderr))
    }

    /// Starts a command in the container.
    pub(super) fn exec(&self, command: &[String], streams: [OwnedFd; 3]) -> Result<Pid, String> {
        let mut process = self.requirements.process.clone();
        process.set_args(Some(command.to_vec()));
        let file = self.write_process(&process)?;
        let report = open_report()?;
        let build = || {
            let pid = self
                .builder(streams)?
                .as_tenant()
                .with_detach(true)
                .with_process(Some(file))
                .build()?;
            Ok(Pid::from_raw(pid.as_raw()))
        };
        let built = have_done(self.oom_score_adj, build);
        self.remove_exec_sockets();
        verdict(built, report)
    }

    fn builder(
        &self,
        [stdin, stdout, stderr]: [OwnedFd; 3],
    ) -> Result<ContainerBuilder, LibcontainerError> {
        ContainerBuilder::new(self.name.clone(), SyscallType::default())
            .with_executor(Program)
            .with_stdin(stdin)
            .with_stdout(stdout)
            .with_stderr(stderr)
            .with_root_path(&self.state)
    }

    fn write_process(&self, process: &Process) -> Result<PathBuf, String> {
        let path = self.state.join(&self.name).join("process.json");
        let text = serde_json::to_vec(process).map_err(|error| error.to_string())?;
        fs::write(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }

    fn remove_exec_sockets(&self) {
        let entries = fs::read_dir(self.state.join(&self.name));
        for entry in entries.into_iter().flatten().flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(EXEC_SOCKETS.as_bytes())
            {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn find_groups(&mut self) {
        self.groups = cgroup::in_all_hierarchies(&self.requirements.group);
    }

    /// How often something in the container was killed for want of memory.
    fn count_kills(&self) -> u64 {
        let counts = self.groups.iter().filter_map(Cgroup::out_of_memory_kills);
        counts.max().unwrap_or_default()
    }

    /// Names the one cause that no text names: a process on the way to the program was killed.
    fn explain(&self, text: String) -> String {
        if self.requirements.memory_is_limited && TOO_LITTLE.iter().any(|it| text.contains(it)) {
            return format!("container init was OOM-killed (memory limit too low?): {text}");
        }
        text
    }

    /// Asks the program to end.
    pub(super) fn stop(&self, pid: Pid) {
        let _ = kernel::process::send_signal(pid, self.stop_signal);
    }

    /// Ends every process of the container.
    pub(super) fn kill(&self, pid: Pid) {
        let _ = kill(pid, Signal::SIGKILL);
        if !self.requirements.own_processes {
            self.kill_group();
        }
    }

    fn kill_group(&self) {
        self.groups.iter().for_each(Cgroup::kill_now);
    }

    /// The program has ended: what is left of the container goes. Says whether the kernel killed something in
    /// it for want of memory.
    pub(super) fn end(&mut self) -> bool {
        if !self.requirements.own_processes {
            self.kill_group();
        }
        let out_of_memory = self.count_kills() > self.out_of_memory_kills;
        self.clean_up();
        out_of_memory
    }

    fn clean_up(&mut self) {
        self.find_groups();
        let deadline = Instant::now() + BUSY;
        // The kernel lets go of a group some milliseconds after its last process.
        while !remove_all(&mut self.groups) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.out_of_memory_kills = self.count_kills();
        let _ = fs::remove_dir_all(self.state.join(&self.name));
    }
}

fn remove_all(groups: &mut Vec<Cgroup>) -> bool {
    groups.retain(|group| !group.remove_now());
    groups.is_empty()
}

/// Has the library do something that children inherit an OOM score for; it may fail half-way.
fn have_done<T>(
    oom_score_adj: Option<i32>,
    work: impl FnOnce() -> Result<T, LibcontainerError>,
) -> Result<T, String> {
    with_oom_score(oom_score_adj, || {
        kernel::process::closing_strays(|| work().map_err(|error| chain(&error)))
    })
}

fn open_report() -> Result<Report, String> {
    Report::open().map_err(|error| format!("cannot make a pipe: {error}"))
}

/// Makes one answer of the library's and of what the processes reported.
fn verdict<T>(built: Result<T, String>, report: Report) -> Result<T, String> {
    let reported = report.read();
    let why = match (built, reported) {
        (Ok(built), None) => return Ok(built),
        (_, Some(why)) | (Err(why), None) => why,
    };
    Err(format!("unable to start container process: {why}"))
}

/// Does `work` with this process's OOM score raised or lowered, because children inherit it; best effort.
fn with_oom_score<T>(score: Option<i32>, work: impl FnOnce() -> T) -> T {
    const FILE: &str = "/proc/self/oom_score_adj";
    let Some(score) = score else { return work() };
    let usual = fs::read_to_string(FILE).unwrap_or_default();
    let _ = fs::write(FILE, score.to_string());
    let done = work();
    let _ = fs::write(FILE, usual.trim());
    done
}

/// An error with all that caused it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
