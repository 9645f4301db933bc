//! Cgroups by their files: groups that end all their processes with one write, and to which eBPF
//! programs attach. No resource limits here; the container runtime sets those.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::mount;

/// How long a group may stay busy after its last process ended: the kernel lets go of it some
/// milliseconds late.
const BUSY: Duration = Duration::from_secs(5);
/// Between two looks at a busy group.
const PAUSE: Duration = Duration::from_millis(5);

/// One group, by its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
}

/// Why a group could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no version 2 hierarchy.
    #[error(
        "no cgroup2 file system is mounted (mount one: mount -t cgroup2 none /sys/fs/cgroup/unified)"
    )]
    NotMounted,
    /// A file of the group did not do as told.
    #[error("cannot {action} cgroup {path}: {source}")]
    File {
        /// What was asked.
        action: &'static str,
        /// The group's folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Processes that do not die.
    #[error("cgroup {path} still has processes {pids:?} after it was killed")]
    Alive {
        /// The group's folder.
        path: PathBuf,
        /// Who is left.
        pids: Vec<u32>,
    },
}

/// Where the version 2 hierarchy is mounted: `/sys/fs/cgroup`, or beside version 1 (a hybrid
/// machine) `/sys/fs/cgroup/unified`.
///
/// # Errors
/// [`CgroupError::NotMounted`]
pub fn unified_mount() -> Result<PathBuf, CgroupError> {
    let found = mount::of_kind(&["cgroup2"])
        .ok()
        .and_then(|points| points.into_iter().next());
    found.ok_or(CgroupError::NotMounted)
}

/// Where each hierarchy is mounted, of version 1 and 2.
#[must_use]
pub fn all_mounts() -> Vec<PathBuf> {
    mount::of_kind(&["cgroup2", "cgroup"]).unwrap_or_default()
}

impl Cgroup {
    /// The group of this folder, whether it exists or not.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A group below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
        }
    }

    /// Makes it and those above it; existing is fine.
    ///
    /// # Errors
    /// [`CgroupError::File`]
    pub fn create(&self) -> Result<(), CgroupError> {
        std::fs::create_dir_all(&self.path).map_err(|source| self.failed("create", source))
    }

    /// Whether it is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// [`CgroupError::File`]
    pub fn add(&self, pid: u32) -> Result<(), CgroupError> {
        std::fs::write(self.path.join("cgroup.procs"), pid.to_string())
            .map_err(|source| self.failed("move a process into", source))
    }

    /// Moves the calling process into it.
    ///
    /// # Errors
    /// [`CgroupError::File`]
    pub fn join(&self) -> Result<(), CgroupError> {
        self.add(std::process::id())
    }

    /// The processes in it and below it.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        for folder in self.tree() {
            // A group that vanished meanwhile has no processes.
            let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
        pids
    }

    /// Kills every process in it and below it, and waits until they are gone. A group that is not
    /// there has none.
    ///
    /// # Errors
    /// [`CgroupError::Alive`]
    pub fn kill(&self) -> Result<(), CgroupError> {
        let started = Instant::now();
        loop {
            self.kill_once();
            let pids = self.processes();
            if pids.is_empty() {
                return Ok(());
            }
            if started.elapsed() > BUSY {
                return Err(CgroupError::Alive {
                    path: self.path.clone(),
                    pids,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Removes it and what is below it; absent is fine. It must have no processes.
    ///
    /// # Errors
    /// [`CgroupError::File`] when it is still busy after some seconds.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let started = Instant::now();
        loop {
            match self.remove_once() {
                Ok(()) => return Ok(()),
                Err(error)
                    if error.raw_os_error() == Some(libc::EBUSY) && started.elapsed() < BUSY =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(self.failed("remove", error)),
            }
        }
    }

    fn kill_once(&self) {
        // `cgroup.kill` (5.14) catches children forked meanwhile; version 1 does not have it, so
        // there each process is killed by itself and the caller's loop catches the children.
        if std::fs::write(self.path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        for pid in self
            .processes()
            .into_iter()
            .filter_map(|pid| i32::try_from(pid).ok())
        {
            // Ended meanwhile is what we want.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }

    fn remove_once(&self) -> io::Result<()> {
        for folder in self.tree().iter().rev() {
            match std::fs::remove_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The group's folder and those below it, parents first.
    fn tree(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.path.clone()];
        let mut next = 0;
        while next < folders.len() {
            let entries = std::fs::read_dir(&folders[next])
                .into_iter()
                .flatten()
                .flatten();
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let below: Vec<_> = below.map(|entry| entry.path()).collect();
            folders.extend(below);
            next += 1;
        }
        folders
    }

    fn failed(&self, action: &'static str, source: io::Error) -> CgroupError {
        CgroupError::File {
            action,
            path: self.path.clone(),
            source,
        }
    }
}
