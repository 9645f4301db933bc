//! Mounts: bind, tmpfs, unmount, and what is mounted below a folder.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Shows the file or folder `source` at `target`, which must exist.
///
/// # Errors
/// What `mount(2)` says.
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    mount(Some(source), target, none, MsFlags::MS_BIND, none).map_err(io::Error::from)
}

/// Mounts a file system in memory at `target`, at most `bytes` large.
///
/// # Errors
/// What `mount(2)` says.
pub fn tmpfs(target: &Path, bytes: u64) -> io::Result<()> {
    let options = format!("size={bytes},mode=0755");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        target,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )
    .map_err(io::Error::from)
}

/// Does something in the mount namespace of a process, in a thread of its own that ends with it. Paths
/// are those of that namespace.
///
/// # Errors
/// When the namespace cannot be entered, or what `act` says.
pub fn in_namespace_of<T: Send + 'static>(
    pid: u32,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/mnt"))?;
    let thread = std::thread::Builder::new().name("mounts".to_owned());
    let thread = thread.spawn(move || {
        // A thread that shares its root and working directory with others may not move.
        unshare(CloneFlags::CLONE_FS)?;
        setns(namespace, CloneFlags::CLONE_NEWNS)?;
        act()
    })?;
    let ended = thread.join();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Takes away whatever is mounted at `target`, in all layers; nothing there is no error. Users of
/// the mount keep it until they are done (a lazy unmount), and never block us.
///
/// # Errors
/// What `umount2(2)` says.
pub fn unmount(target: &Path) -> io::Result<()> {
    loop {
        match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            // EINVAL: not a mount point; ENOENT: not even a file.
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The mount points at or below `folder` that this process sees, the deepest first: the order in
/// which they can be taken away.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(points_below(
        &std::fs::read("/proc/self/mountinfo")?,
        folder,
    ))
}

/// Where each file system of one of `kinds` is mounted.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn of_kind(kinds: &[&str]) -> io::Result<Vec<PathBuf>> {
    Ok(points_of_kind(
        &std::fs::read("/proc/self/mountinfo")?,
        kinds,
    ))
}

fn points_below(mountinfo: &[u8], folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = points(mountinfo)
        .map(|(point, _)| point)
        .filter(|point| point.starts_with(folder))
        .collect();
    // Later lines are later mounts; a stable sort by depth keeps that order among equals.
    found.reverse();
    found.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    found
}

fn points_of_kind(mountinfo: &[u8], kinds: &[&str]) -> Vec<PathBuf> {
    points(mountinfo)
        .filter(|(_, kind)| kinds.iter().any(|wanted| wanted.as_bytes() == *kind))
        .map(|(point, _)| point)
        .collect()
}

/// Mount point and file system type of each line; proc_pid_mountinfo(5): the fifth field, and the
/// one after the dash that ends the optional fields.
fn points(mountinfo: &[u8]) -> impl Iterator<Item = (PathBuf, &[u8])> {
    mountinfo.split(|&byte| byte == b'\n').filter_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let point = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
        Some((point, *fields.get(dash + 1)?))
    })
}

/// Undoes the kernel's octal escapes (space, tab, newline, backslash).
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(octal_byte);
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

fn octal_byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
24 1 8:1 / / rw,relatime - ext4 /dev/root rw
30 24 0:5 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
40 24 0:6 / /run/x rw - tmpfs tmpfs rw
41 40 0:4 net:[1] /run/x/netns/a rw - nsfs nsfs rw
42 40 0:7 / /run/x/a\\040b rw - tmpfs tmpfs rw
43 24 0:8 / /run/xy rw - tmpfs tmpfs rw
";

    #[test]
    fn mounts_below_a_folder_come_deepest_first_and_unescaped() {
        let found = points_below(MOUNTINFO, Path::new("/run/x"));
        assert_eq!(
            found,
            [
                Path::new("/run/x/netns/a"),
                Path::new("/run/x/a b"),
                Path::new("/run/x")
            ]
        );
    }

    #[test]
    fn a_file_system_is_found_by_its_type_despite_optional_fields() {
        assert_eq!(
            points_of_kind(MOUNTINFO, &["cgroup2"]),
            [Path::new("/sys/fs/cgroup/unified")]
        );
    }
}
