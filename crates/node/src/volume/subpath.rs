//! `subPath`: one part of a volume, found once and never walked again.
//!
//! The containers of a pod can change what is in a volume at any time, so a path that was checked may lead
//! elsewhere a moment later. The part is therefore opened with openat2(2), which does not leave the volume, and
//! what was opened is shown at a place that only the node can reach. That happens inside the supervisor's mount
//! namespace, so it is seen nowhere else and goes with the pod.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};

/// A part of a volume, and where it is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubPath {
    pub(crate) volume: PathBuf,
    pub(crate) path: String,
    pub(crate) target: PathBuf,
}

/// Shows parts of volumes in the mount namespace of a process.
pub(crate) fn show(pid: u32, parts: Vec<SubPath>) -> io::Result<()> {
    kernel::mount::in_namespace_of(pid, move || parts.iter().try_for_each(show_one))
}

fn show_one(part: &SubPath) -> io::Result<()> {
    let named = |error: io::Error| {
        let message = format!("subPath {:?} of the volume: {error}", part.path);
        io::Error::new(error.kind(), message)
    };
    let found = find(&part.volume, &part.path).map_err(named)?;
    let is_folder = FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Directory;
    kernel::mount::unmount(&part.target)?;
    make_target(&part.target, is_folder)?;
    // The link leads to what was opened, whatever has become of its path.
    let opened = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    kernel::mount::bind(&opened, &part.target).map_err(named)
}

/// What an earlier attempt left may be of the other kind.
fn make_target(target: &Path, is_folder: bool) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() == is_folder => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir(target)?,
        Ok(_) => fs::remove_file(target)?,
        Err(_) => {}
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if is_folder {
        return fs::create_dir(target);
    }
    fs::File::create(target).map(drop)
}

/// Opens a part of a volume; folders on the way that are missing are made, as Kubernetes does.
fn find(volume: &Path, path: &str) -> io::Result<OwnedFd> {
    let root = fs::File::open(volume)?;
    let parts = parts(path)?;
    match open_beneath(&root, &parts.iter().collect::<PathBuf>()) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    let mut so_far = PathBuf::new();
    let mut folder = open_beneath(&root, Path::new("."))?;
    for part in parts {
        so_far.push(part);
        let made = mkdirat(&folder, part, Mode::from_raw_mode(0o755));
        if let Err(error) = made
            && error != rustix::io::Errno::EXIST
        {
            return Err(error.into());
        }
        folder = open_beneath(&root, &so_far)?;
    }
    Ok(folder)
}

/// Symlinks are followed as long as they stay in the volume.
fn open_beneath(root: &fs::File, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, flags, Mode::empty(), rules)?)
}

/// The API refuses `..`, too.
fn parts(path: &str) -> io::Result<Vec<&std::ffi::OsStr>> {
    Path::new(path)
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(part) => Ok(part),
            _ => Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it leaves the volume",
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn target(found: &OwnedFd) -> PathBuf {
        fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).unwrap()
    }

    #[test]
    fn parts_are_found_inside_and_never_outside() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("volume");
        fs::create_dir_all(volume.join("a")).unwrap();
        fs::write(volume.join("a/file"), "x").unwrap();
        symlink("a/file", volume.join("inside")).unwrap();
        symlink("/etc/passwd", volume.join("absolute")).unwrap();
        symlink("../..", volume.join("up")).unwrap();

        assert_eq!(
            target(&find(&volume, "a/file").unwrap()),
            volume.join("a/file")
        );
        assert_eq!(
            target(&find(&volume, "inside").unwrap()),
            volume.join("a/file")
        );
        assert_eq!(
            target(&find(&volume, "new/deep").unwrap()),
            volume.join("new/deep")
        );
        for outside in ["absolute", "up", "up/x", "../x", "/etc"] {
            assert!(find(&volume, outside).is_err(), "{outside}");
        }
        assert!(!directory.path().join("x").exists());
    }

    #[test]
    fn a_link_that_is_swapped_all_the_time_never_leads_outside() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("volume");
        let outside = directory.path().join("outside");
        fs::create_dir_all(volume.join("real")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        // There from the start, or a folder of its name would be made.
        symlink("real", volume.join("link")).unwrap();
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let swapper = {
            let (volume, outside, done) = (volume.clone(), outside.clone(), done.clone());
            std::thread::spawn(move || {
                let mut inside = false;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let link = volume.join("new");
                    let _ = fs::remove_file(&link);
                    if inside {
                        symlink("real", &link).unwrap();
                    } else {
                        symlink(&outside, &link).unwrap();
                    }
                    fs::rename(&link, volume.join("link")).unwrap();
                    inside = !inside;
                }
            })
        };
        for _ in 0..2000 {
            if let Ok(found) = find(&volume, "link/part") {
                assert!(target(&found).starts_with(&volume));
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        swapper.join().unwrap();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
