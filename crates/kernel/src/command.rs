//! What a child does between fork and exec. Each step is one system call on data prepared before
//! the fork, because in that moment allocating or locking may hang for ever.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use crate::NetNs;
use crate::cgroup::{Cgroup, CgroupError};

/// Steps for a child, on top of what [`Command`] offers.
pub trait CommandSteps {
    /// Starts the child in a session of its own: no terminal's Ctrl-C or hang-up reaches it.
    fn in_own_session(&mut self) -> &mut Self;

    /// Starts the child in `group`, before it can have children of its own.
    ///
    /// # Errors
    /// [`CgroupError::File`] when there is no such group.
    fn in_cgroup(&mut self, group: &Cgroup) -> Result<&mut Self, CgroupError>;

    /// Starts the child inside `namespace`.
    fn in_namespace(&mut self, namespace: &NetNs) -> &mut Self;

    /// Lets the child inherit `descriptor` under the same number (the rest of ours are closed on
    /// exec).
    fn inherit(&mut self, descriptor: OwnedFd) -> &mut Self;

    /// Has the kernel send the child `signal` when the thread that starts it ends.
    fn signalled_when_parent_ends(&mut self, signal: Signal) -> &mut Self;
}

impl CommandSteps for Command {
    fn in_own_session(&mut self) -> &mut Self {
        let step = || nix::unistd::setsid().map(drop).map_err(io::Error::from);
        // SAFETY: setsid(2) is async-signal-safe, and the closure neither allocates nor locks.
        unsafe { self.pre_exec(step) }
    }

    fn in_cgroup(&mut self, group: &Cgroup) -> Result<&mut Self, CgroupError> {
        let path = group.path().join("cgroup.procs");
        let procs =
            File::options()
                .write(true)
                .open(&path)
                .map_err(|source| CgroupError::File {
                    action: "start a process in",
                    path: group.path().to_owned(),
                    source,
                })?;
        // "0" is the writer itself (cgroups(7)).
        let step = move || {
            nix::unistd::write(&procs, b"0")
                .map(drop)
                .map_err(io::Error::from)
        };
        // SAFETY: write(2) is async-signal-safe; the file was opened before the fork.
        Ok(unsafe { self.pre_exec(step) })
    }

    fn in_namespace(&mut self, namespace: &NetNs) -> &mut Self {
        let namespace = namespace.clone();
        let step = move || setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
        // SAFETY: setns(2) is a bare system call; the namespace was opened before the fork.
        unsafe { self.pre_exec(step) }
    }

    fn inherit(&mut self, descriptor: OwnedFd) -> &mut Self {
        // SAFETY: fcntl(2) is async-signal-safe, and the closure owns the descriptor it changes.
        let step = move || match unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, 0) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        };
        // SAFETY: as above; nothing in the closure allocates or locks.
        unsafe { self.pre_exec(step) }
    }

    fn signalled_when_parent_ends(&mut self, signal: Signal) -> &mut Self {
        let step = move || crate::process::die_with_parent(signal);
        // SAFETY: prctl(2) is a bare system call; nothing in the closure allocates or locks.
        unsafe { self.pre_exec(step) }
    }
}
