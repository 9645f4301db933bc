//! Cgroups by their files: groups that end all their processes with one write, and to which eBPF
//! programs attach. No resource limits here; the container runtime sets those, and what they led to
//! can be read.

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

/// The name of a group of version 2 by its folder: the folder without the hierarchy's mount point,
/// such as `/pods/web`. `None`: the folder is not in it.
#[must_use]
pub fn name_of(folder: &Path) -> Option<PathBuf> {
    let mount = unified_mount().ok()?;
    Some(Path::new("/").join(folder.strip_prefix(mount).ok()?))
}

/// The groups called `name` (such as `/pods/web`) that exist, one per hierarchy: on a machine with
/// version 1 a container has one in each, else just one.
#[must_use]
pub fn in_all_hierarchies(name: &Path) -> Vec<Cgroup> {
    let relative = name.strip_prefix("/").unwrap_or(name);
    let mut paths: Vec<_> = all_mounts()
        .iter()
        .map(|mount| mount.join(relative))
        .collect();
    paths.sort();
    paths.dedup();
    let groups = paths.into_iter().map(|path| Cgroup { path });
    groups.filter(Cgroup::exists).collect()
}

/// Removes the group of this folder of version 2, and those of the same name that version 1 may have
/// beside it for limits.
///
/// # Errors
/// [`CgroupError::File`] when one is still busy after some seconds.
pub fn remove_everywhere(folder: &Path) -> Result<(), CgroupError> {
    let groups = name_of(folder).map_or_else(
        || vec![Cgroup::at(folder)],
        |name| in_all_hierarchies(&name),
    );
    groups.iter().try_for_each(Cgroup::remove)
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

    /// Kills every process in it and below it, and does not wait; children forked meanwhile may
    /// escape where there is no `cgroup.kill`.
    pub fn kill_now(&self) {
        self.kill_once();
    }

    /// How often the kernel has killed something in it for want of memory; `None` where the group's
    /// hierarchy does not count that.
    #[must_use]
    pub fn out_of_memory_kills(&self) -> Option<u64> {
        let files = ["memory.events", "memory.oom_control"];
        let text = files
            .iter()
            .find_map(|file| std::fs::read_to_string(self.path.join(file)).ok())?;
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?
            .parse()
            .ok()
    }

    /// As [`Cgroup::remove`], without patience: says whether it is gone.
    #[must_use]
    pub fn remove_now(&self) -> bool {
        self.remove_once().is_ok()
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
