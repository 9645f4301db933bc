//! What must be arranged between fork and exec of a child program.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::setsid;

/// Has the program lead a session of its own (so that its whole group can be ended at once), with the terminal
/// that is its input where it is one, die with the thread that starts it, and start with no signal blocked.
///
/// A setuid program clears the death signal (prctl(2)), so it is a help, not a guarantee.
pub fn own_session_until_parent_dies(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes a few system calls, each of them safe after a
    // fork (signal-safety(7); prctl, setsid and ioctl are plain calls); it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(prepare);
    }
}

fn prepare() -> io::Result<()> {
    setsid()?;
    take_terminal();
    set_pdeathsig(Signal::SIGKILL)?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Makes the terminal that is the calling process's standard input its session's, so that the keys for signals
/// work and `/dev/tty` is there. It does nothing where the input is no terminal, or another session's.
pub fn take_terminal() {
    // SAFETY: TIOCSCTTY takes an integer and no pointer.
    unsafe {
        libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0);
    }
}

/// Gives the calling process the signals that a program expects at its start: none is blocked, and SIGPIPE,
/// which Rust's runtime ignores, ends it. For a process that is about to become another program by itself;
/// [`Command`] does it for those it starts.
///
/// # Errors
/// What the kernel says.
pub fn reset_signals() -> io::Result<()> {
    // SAFETY: the default action is no handler of ours, so nothing of ours runs in a signal's context.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}
