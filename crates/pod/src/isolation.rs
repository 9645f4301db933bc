//! The supervisor's first acts: its own session, the pod's namespaces, the pod's cgroup.

use std::fs;
use std::path::Path;

use kernel::cgroup;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{Pid, sethostname, setsid};

use crate::config::{Config, Tmpfs};
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
        mount_tmpfs(config)?;
    }
    sethostname(&config.hostname).doing("set the pod's host name")
}

fn namespaces(config: &Config) -> CloneFlags {
    // Of its own even on the node's network: several nodes of one machine share that machine's name.
    let mut flags = CloneFlags::CLONE_NEWUTS;
    flags.set(CloneFlags::CLONE_NEWNET, !config.host_network);
    flags.set(CloneFlags::CLONE_NEWIPC, !config.host_ipc);
    flags.set(CloneFlags::CLONE_NEWNS, config.private_mounts);
    flags
}

fn mount_tmpfs(config: &Config) -> Result<(), Error> {
    for tmpfs in &config.tmpfs {
        fs::create_dir_all(&tmpfs.path).context("create", &tmpfs.path)?;
        mount(
            Some("tmpfs"),
            &tmpfs.path,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(options(tmpfs).as_str()),
        )
        .map_err(std::io::Error::from)
        .context("mount a tmpfs at", &tmpfs.path)?;
    }
    Ok(())
}

fn options(tmpfs: &Tmpfs) -> String {
    let mut options = format!("mode={:o}", tmpfs.mode);
    if let Some(bytes) = tmpfs.bytes {
        options.push_str(&format!(",size={bytes}"));
    }
    if let Some(group) = tmpfs.group {
        options.push_str(&format!(",gid={group}"));
    }
    options
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

/// Removes the groups that the pod has beside ours: those in hierarchies of version 1, made for the limits
/// of its containers. What is still busy stays for the agent.
pub(crate) fn remove_other_groups(config: &Config) {
    let Some(name) = config.cgroup.as_deref().and_then(cgroup::name_of) else {
        return;
    };
    for group in cgroup::in_all_hierarchies(&name) {
        if Some(group.path()) != config.cgroup.as_deref() {
            let _ = group.remove_now();
        }
    }
}
