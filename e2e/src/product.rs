//! The `fairway` program on a host, and `kubectl` beside it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kernel::command::CommandSteps as _;
use kernel::{Cgroup, NetNs};

use crate::host::Host;

/// How long something that takes a second or two may take on a machine that is very busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// What a command printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Its exit status; `None` when a signal ended it.
    pub code: Option<i32>,
}

impl Said {
    /// Whether it ended well.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// All it printed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// A cluster's data directory on a host, and the program that looks after it. What is left of the
/// cluster when a test fails is taken away when this is dropped.
pub struct Product<'host> {
    host: &'host Host,
    program: PathBuf,
    place: cluster::Place,
}

impl<'host> Product<'host> {
    /// A cluster of this name on `host`; nothing is started.
    ///
    /// # Panics
    /// When the `fairway` program was not built.
    #[must_use]
    pub fn new(host: &'host Host, name: &str) -> Self {
        let place = cluster::Place::of(&host.path(name)).expect("the host's folder is there");
        Self {
            host,
            program: program(),
            place,
        }
    }

    /// Where it keeps what it keeps.
    #[must_use]
    pub fn place(&self) -> &cluster::Place {
        &self.place
    }

    /// The program itself.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command on the host.
    pub fn command(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("KUBECONFIG", self.place.kubeconfig())
            .env_remove("FAIRWAY_DATA_DIR")
            .stdin(Stdio::null())
            .in_namespace(self.host.namespace());
        command
    }

    /// What `fairway` says on the host to these arguments.
    #[must_use]
    pub fn says(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(&self.program, arguments);
        command.env("FAIRWAY_DATA_DIR", self.place.data_dir());
        said(&mut command)
    }

    /// The output of a `fairway` command that must end well.
    ///
    /// # Panics
    /// With all that it said, when it does not.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let said = self.says(arguments);
        assert!(
            said.ok(),
            "fairway {} ended with {:?}:\n{}{}",
            arguments.join(" "),
            said.code,
            said.text(),
            self.logs()
        );
        said.out
    }

    /// Starts the cluster in the background.
    #[track_caller]
    pub fn up(&self, options: &[&str]) {
        self.run(&[&["up", "--detach"], options].concat());
    }

    /// Applies objects.
    #[track_caller]
    pub fn apply(&self, yaml: &str) {
        let file = self.host.path("objects.yaml");
        std::fs::write(&file, yaml).expect("the host's folder is there");
        self.run(&["apply", "-f", &file.to_string_lossy()]);
    }

    /// An object's field by JSON pointer, as text; empty when it is not there.
    #[must_use]
    pub fn field(&self, kind: &str, name: &str, pointer: &str) -> String {
        let said = self.says(&["get", kind, name, "-o", "json"]);
        let object: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
        match object.pointer(pointer) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// The namespace of a member, such as `client` or `node-1`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn member(&self, name: &str) -> NetNs {
        NetNs::open(&self.place.namespace(name)).expect("the cluster runs")
    }

    /// Waits until a request from `member` to `address` is answered by a pod, and returns the answer.
    ///
    /// # Panics
    /// With the last failure, when it is not in time.
    #[track_caller]
    pub fn answer(&self, member: &str, address: IpAddr, port: u16) -> String {
        let namespace = self.member(member);
        let mut last = String::new();
        let answered = wait_for(|| {
            let asked = namespace.run(|| crate::load::ask((address, port).into()));
            match asked.expect("the member's namespace is there") {
                Ok(answer) => Some(answer),
                Err(failure) => {
                    last = format!("{failure:?}");
                    None
                }
            }
        });
        answered.unwrap_or_else(|| {
            panic!(
                "{member} got no answer from {address}:{port}: {last}{}",
                self.logs()
            )
        })
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    /// When it does not in time.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let seen = wait_for(|| holds().then_some(()));
        assert!(seen.is_some(), "not seen in time: {what}{}", self.logs());
    }

    /// Every process of the cluster, its launcher included.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let group = self.cgroup().processes();
        self.launcher().into_iter().chain(group).collect()
    }

    /// The launcher.
    #[must_use]
    pub fn launcher(&self) -> Option<u32> {
        cluster::status(&self.place).ok()?.launcher
    }

    /// The process of a role.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<u32> {
        let status = cluster::status(&self.place).ok()?;
        let role = status.roles.into_iter().find(|role| role.name == name)?;
        role.pid
    }

    /// The cluster's cgroup.
    ///
    /// # Panics
    /// Without version 2 cgroups.
    #[must_use]
    pub fn cgroup(&self) -> Cgroup {
        let mount = kernel::cgroup::unified_mount().expect("cgroup version 2 is mounted");
        Cgroup::at(&mount.join(self.place.cgroup_name()))
    }

    /// Kills every process at once, as a machine's end would.
    ///
    /// # Panics
    /// When a process outlives SIGKILL.
    pub fn kill_everything(&self) {
        let launcher = self
            .launcher()
            .and_then(|pid| kernel::Pidfd::open(pid).ok());
        if let Some(launcher) = &launcher {
            // First, so that it starts nothing again.
            launcher.signal(nix::sys::signal::Signal::SIGKILL).ok();
            assert_eq!(launcher.wait(PATIENCE).ok(), Some(true));
        }
        self.cgroup().kill().expect("the cgroup can be killed");
    }

    /// The ends of the roles' logs, for a failure's text.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.place.logs())
            .into_iter()
            .flatten()
            .flatten()
        {
            let log = std::fs::read(entry.path()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(12)..].join("\n  ");
            let name = entry.file_name();
            let _ = write!(text, "\n{}:\n  {end}", name.to_string_lossy());
        }
        text
    }
}

impl Drop for Product<'_> {
    fn drop(&mut self) {
        let mut down = self.command(&self.program, &["down"]);
        down.env("FAIRWAY_DATA_DIR", self.place.data_dir());
        down.stdout(Stdio::null()).stderr(Stdio::null());
        down.status().ok();
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn said(command: &mut Command) -> Said {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    Said {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

/// Looks again and again, for a bounded time.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if began.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// The program that was built with this one: `FAIRWAY_PROGRAM`, else beside the tests' folder.
fn program() -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().expect("a program knows its own file");
        let folder = own
            .ancestors()
            .find(|folder| folder.join("fairway").is_file());
        folder.map(|folder| folder.join("fairway"))
    };
    let program = std::env::var_os("FAIRWAY_PROGRAM")
        .map(PathBuf::from)
        .or_else(beside);
    program.expect("the fairway program is not built: cargo build --package fairway")
}
