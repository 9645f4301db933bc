//! The pid namespace that a pod's containers share when it asks for that.
//!
//! Such a namespace lives as long as its first process, so that is a fork of the supervisor that does nothing
//! but collect orphans, as a pause container would.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::config::{Config, PID_NAMESPACE_FILE};
use crate::error::{Error, IoContext, SystemContext};

/// Makes the namespace, if it is wanted, and the link by which containers' specifications name it.
pub(crate) fn share(config: &Config) -> Result<(), Error> {
    if !config.share_process_namespace {
        return Ok(());
    }
    let own = "/proc/self/ns/pid".as_ref();
    let namespace = File::open(own).context("open", own)?;
    // Concerns only the next children, and only until it is taken back.
    unshare(CloneFlags::CLONE_NEWPID).doing("make the pod's pid namespace")?;
    let reaper = kernel::process::fork_single_threaded(collect_orphans)
        .context("start the reaper in", own)?;
    setns(&namespace, CloneFlags::CLONE_NEWPID).doing("leave the pod's pid namespace")?;
    let link = config.run_directory.join(PID_NAMESPACE_FILE);
    let _ = fs::remove_file(&link);
    symlink(format!("/proc/{reaper}/ns/pid"), &link).context("make the link", &link)
}

/// Runs as the namespace's first process until the supervisor ends.
fn collect_orphans() -> i32 {
    if kernel::process::die_with_parent(Signal::SIGKILL).is_err() {
        return 1;
    }
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGCHLD);
    if ends.thread_block().is_err() {
        return 1;
    }
    loop {
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
        if ends.wait().is_err() {
            return 1;
        }
    }
}
