//! The supervisor's first acts: its own session, the pod's namespaces, the pod's cgroup.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{Pid, sethostname, setsid};

use crate::config::Config;
use crate::error::{Error, IoContext, SystemContext};

/// The group of the supervisor itself below the pod's. Groups with limits must hold no process beside
/// child groups (cgroup v2's "no internal processes"), so it takes a leaf from the start.
const OWN_LEAF: &str = "supervisor";

/// Leaves the agent's session and makes the pod's namespaces; from here on they live as long as we do.
pub(crate) fn make_namespaces(config: &Config) -> Result<(), Error> {
    // Fails only for a process that already leads a group, as one started by hand from a shell does.
    let _ = setsid();
    prctl::set_child_subreaper(true).doing("become the reaper of the pod's orphans")?;
    unshare(namespaces(config)).doing("make the pod's namespaces")?;
    if config.private_mounts {
        let nothing = None::<&str>;
        mount(
            nothing,
            "/",
            nothing,
            MsFlags::MS_REC | MsFlags::MS_SLAVE,
            nothing,
        )
        .doing("keep the pod's mounts to itself")?;
    }
    if !config.host_network {
        sethostname(&config.hostname).doing("set the pod's host name")?;
    }
    Ok(())
}

fn namespaces(config: &Config) -> CloneFlags {
    let mut flags = CloneFlags::empty();
    if !config.host_network {
        flags |= CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    }
    if config.private_mounts {
        flags |= CloneFlags::CLONE_NEWNS;
    }
    flags
}

/// Writes the settings under `/proc/sys`; those that this kernel lacks are passed over.
pub(crate) fn write_sysctls(config: &Config) -> Result<(), Error> {
    for (name, value) in &config.sysctls {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        if path.exists() {
            fs::write(&path, value).context("write the setting", &path)?;
        }
    }
    Ok(())
}

/// Makes the pod's cgroup and moves this process into a leaf of it; later children are born there.
pub(crate) fn join_cgroup(config: &Config) -> Result<(), Error> {
    let Some(group) = &config.cgroup else {
        return Ok(());
    };
    let leaf = group.join(OWN_LEAF);
    fs::create_dir_all(&leaf).context("create the cgroup", &leaf)?;
    let members = leaf.join("cgroup.procs");
    fs::write(&members, Pid::this().to_string()).context("join the cgroup", &members)
}
