//! Cgroups and children, against the real kernel. They need root and a cgroup2 mount.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

use std::process::{Command, Stdio};

use kernel::command::CommandSteps;
use kernel::{Cgroup, Pidfd, cgroup, mount};

/// A group that is killed and removed with this value.
struct Group(Cgroup);

impl Group {
    fn new(name: &str) -> Self {
        let name = format!("fairway-test-{name}-{}", std::process::id());
        let group = Cgroup::at(&cgroup::unified_mount().unwrap().join(name));
        group.create().unwrap();
        Self(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.remove().ok();
    }
}

#[test]
fn a_group_kills_a_child_and_grandchild_that_were_born_in_it() {
    let group = Group::new("kill");
    let leaf = group.0.child("agent");
    leaf.create().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "sleep 1000 & wait"])
        .in_own_session()
        .in_cgroup(&leaf)
        .unwrap();
    let mut child = command.spawn().unwrap();
    while group.0.processes().len() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let reaper = std::thread::spawn(move || child.wait().unwrap());
    group.0.kill().unwrap();
    assert!(!reaper.join().unwrap().success());
    group.0.remove().unwrap();
    assert!(!group.0.exists());
    group.0.remove().unwrap();
}

#[test]
fn a_child_in_its_own_session_inherits_only_what_it_is_given() {
    let file = tempfile::tempfile().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let mut command = Command::new("ls");
    command
        .arg("/proc/self/fd")
        .in_own_session()
        .inherit(file.into());
    let output = command.stderr(Stdio::null()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(
        listed.lines().any(|line| line == number.to_string()),
        "{listed}"
    );
}

#[tokio::test]
async fn the_end_of_a_process_is_awaited_without_being_its_parent() {
    // The grandchild is orphaned at once; only its number is known here.
    let output = Command::new("sh")
        .args(["-c", "sleep 0.3 >/dev/null 2>&1 & echo $!"])
        .output()
        .unwrap();
    let pid: u32 = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let held = Pidfd::open(pid).unwrap();
    assert!(!held.has_ended());
    held.ended().await.unwrap();
    assert!(held.has_ended());
}

#[test]
fn a_mount_in_memory_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    mount::tmpfs(folder.path(), 1 << 20).unwrap();
    assert_eq!(mount::below(folder.path()).unwrap(), [folder.path()]);
    mount::unmount(folder.path()).unwrap();
    assert!(mount::below(folder.path()).unwrap().is_empty());
    mount::unmount(folder.path()).unwrap();
}
