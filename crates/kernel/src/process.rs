//! Processes: held by descriptor, signalled, awaited, told apart from a later one with the same
//! number.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process held by descriptor: signals can never hit another that got its number.
#[derive(Debug)]
pub struct Pidfd {
    descriptor: OwnedFd,
    pid: u32,
}

impl Pidfd {
    /// Opens a process that exists (a zombie does).
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two integers and no pointers.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let descriptor = RawFd::try_from(descriptor).map_err(|_| io::ErrorKind::InvalidData)?;
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { descriptor, pid })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal. A process that has ended takes it silently.
    ///
    /// # Errors
    /// What the kernel says, such as `EPERM`.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open for the duration of the call, and a null siginfo is
        // allowed (pidfd_send_signal(2)).
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.descriptor.as_raw_fd(),
                signal as libc::c_int,
                no_info,
                0,
            )
        };
        match result {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Whether it ends within `timeout`; a zombie has ended.
    ///
    /// # Errors
    /// What `poll(2)` says.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let mut events = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut events, timeout)? > 0)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.wait(Duration::ZERO).unwrap_or(true)
    }

    /// Waits for its end without blocking the thread. Our own child is still to be reaped then.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub async fn ended(&self) -> io::Result<()> {
        // SAFETY: the descriptor is borrowed from this value, which outlives the watch.
        let watched =
            unsafe { AsyncFd::register_with_interest(self.descriptor.as_fd(), Interest::READABLE) };
        let watched = watched.map_err(io::Error::from)?;
        watched.readable().await?.retain_ready();
        Ok(())
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// When a process started, in clock ticks since boot: with the number it names a process for good.
/// `None`: there is no such process, or it is a zombie.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    start_time_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether the calling process may do what only root may.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// How many threads this process has.
#[must_use]
pub fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Makes the calling process the parent of its descendants' orphans, so that it can wait for them.
///
/// # Errors
/// What `prctl(2)` says.
pub fn become_subreaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Sends a signal by its number, which may be a real-time one that [`Signal`] does not know. For our
/// own children that are not waited for yet: their number belongs to nobody else.
///
/// # Errors
/// What `kill(2)` says.
pub fn send_signal(child: Pid, number: i32) -> io::Result<()> {
    // SAFETY: kill takes two integers and no pointers.
    match unsafe { libc::kill(child.as_raw(), number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends the calling process by `signal` when its parent ends. A change of user clears it, so call
/// it afterwards; and look whether the parent is still there, it may have ended before.
///
/// # Errors
/// What `prctl(2)` says.
pub fn die_with_parent(signal: Signal) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(signal).map_err(io::Error::from)
}

/// Marks every descriptor from `first` on close-on-exec, so that a program started next gets none
/// by accident.
///
/// # Errors
/// What `close_range(2)` says.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOEXEC: libc::c_uint = 4;
    // SAFETY: with CLOSE_RANGE_CLOEXEC nothing is closed, so no owner of a descriptor is betrayed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOEXEC) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Does `work` and, when it fails, closes the descriptors that it opened and left open, as a library may
/// that gives up half-way. A text owns none of them. Not for work that keeps descriptors elsewhere.
///
/// # Errors
/// What `work` says.
pub fn closing_strays<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let before = open_descriptors();
    let done = work();
    if done.is_err() && thread_count() == 1 {
        for stray in open_descriptors().difference(&before) {
            // SAFETY: there is one thread, so `work` opened it; what `work` returned does not own
            // it, and all else that `work` made is gone.
            unsafe { libc::close(*stray) };
        }
    }
    done
}

/// The descriptors that are open now, without the one that is needed to look.
fn open_descriptors() -> BTreeSet<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let numbers = entries.flatten().map(|entry| entry.file_name());
    let mut open: BTreeSet<RawFd> = numbers
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    open.retain(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok());
    open
}

/// Forks the calling process, which must have one thread; the child runs `child` and ends with the
/// status it returns. Returns the child's number.
///
/// # Errors
/// When there are other threads (they would not exist in the child, and the locks they hold would
/// never be released), or what `fork(2)` says.
pub fn fork_single_threaded(child: impl FnOnce() -> i32) -> io::Result<u32> {
    let threads = thread_count();
    if threads != 1 {
        return Err(io::Error::other(format!(
            "cannot fork a process with {threads} threads"
        )));
    }
    // SAFETY: there is one thread, so the child has everything the parent had and no lock is held
    // by a thread that is gone.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw().unsigned_abs()),
        ForkResult::Child => {
            let status =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
            std::process::exit(status)
        }
    }
}

/// proc_pid_stat(5): the name, in parentheses, may hold spaces and parentheses; after it the state
/// is field 3 and the start field 22.
fn start_time_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_hostile_name() {
        let stat = "42 (a) R 1 (b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 2 3";
        assert_eq!(start_time_in(stat), Some(777));
        assert_eq!(start_time_in(&stat.replace(") S", ") Z")), None);
    }

    #[test]
    fn this_process_started_and_a_free_number_did_not() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(start_time(u32::MAX), None);
    }

    #[test]
    fn a_child_is_awaited_and_signalled_by_descriptor() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let held = Pidfd::open(child.id()).unwrap();
        assert!(!held.has_ended());
        held.signal(Signal::SIGKILL).unwrap();
        assert!(held.wait(Duration::from_secs(10)).unwrap());
        child.wait().unwrap();
        held.signal(Signal::SIGTERM).unwrap();
    }
}
