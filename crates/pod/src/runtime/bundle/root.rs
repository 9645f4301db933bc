//! A container's root: an overlay of its image's layers and a directory of its own.
//!
//! It is mounted in the supervisor's mount namespace just long enough for the container to take it into its
//! own, so no mount table grows and nothing has to be unmounted after a crash.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, mkdirat};
use oci_spec::runtime::Spec;

use crate::protocol::Bundle;

/// The root's name in the bundle.
const ROOT: &str = "rootfs";

/// A mounted root, detached when dropped.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
}

impl Root {
    /// Mounts a bundle's root.
    pub(super) fn mount(bundle: &Bundle) -> Result<Self, String> {
        let path = bundle.directory.join(ROOT);
        let failed =
            |error: io::Error| format!("cannot mount the root {}: {error}", path.display());
        for directory in [
            &path,
            &bundle.writable.join("upper"),
            &bundle.writable.join("work"),
        ] {
            fs::create_dir_all(directory)
                .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
        }
        from_directory(shared_parent(&bundle.layers), |layers_are_near| {
            let options = options(bundle, layers_are_near);
            let kind = Some("overlay");
            // A layer may carry device nodes.
            let flags = MsFlags::MS_NODEV;
            mount(kind, &path, kind, flags, Some(options.as_os_str()))?;
            Ok(())
        })
        .map_err(failed)?;
        Ok(Self { path })
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the program's working directory where it is missing, without ever leaving the root.
    pub(super) fn make_working_directory(&self, spec: &Spec) -> Result<(), String> {
        let Some(process) = spec.process() else {
            return Ok(());
        };
        let (within, path) = under_a_mount(spec, process.cwd());
        make_directories(within.unwrap_or(&self.path), &path).map_err(|error| {
            let path = process.cwd().display();
            format!("cannot make the working directory {path}: {error}")
        })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

/// Runs `work` in `directory`, where there is one, and comes back.
fn from_directory(
    directory: Option<&Path>,
    work: impl FnOnce(bool) -> io::Result<()>,
) -> io::Result<()> {
    let Some(directory) = directory else {
        return work(false);
    };
    let home = std::env::current_dir()?;
    std::env::set_current_dir(directory)?;
    let done = work(true);
    std::env::set_current_dir(home)?;
    done
}

/// The directory in which all layers are. Their bare names are used then, because all options of a mount
/// must fit one page.
fn shared_parent(layers: &[PathBuf]) -> Option<&Path> {
    let parent = layers.first()?.parent()?;
    let all = layers.iter().all(|layer| layer.parent() == Some(parent));
    all.then_some(parent)
}

fn options(bundle: &Bundle, layers_are_near: bool) -> OsString {
    let mut options = b"lowerdir=".to_vec();
    for (index, layer) in bundle.layers.iter().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        let name = layer.file_name().filter(|_| layers_are_near);
        escape(
            name.unwrap_or(layer.as_os_str()).as_bytes(),
            b":,\\",
            &mut options,
        );
    }
    for (name, directory) in [("upperdir", "upper"), ("workdir", "work")] {
        options.extend(format!(",{name}=").bytes());
        let path = bundle.writable.join(directory);
        escape(path.as_os_str().as_bytes(), b",\\", &mut options);
    }
    // What a container wrote is thrown away after a crash, so nothing of it needs to be synced.
    options.extend(b",volatile");
    OsString::from_vec(options)
}

fn escape(text: &[u8], special: &[u8], into: &mut Vec<u8>) {
    for &byte in text {
        if special.contains(&byte) {
            into.push(b'\\');
        }
        into.push(byte);
    }
}

/// A path inside the container as a path under the bind mount that covers it, if one does.
fn under_a_mount<'a>(spec: &'a Spec, path: &Path) -> (Option<&'a Path>, PathBuf) {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let covering = mounts
        .iter()
        .filter(|mount| path.starts_with(mount.destination()))
        .max_by_key(|mount| mount.destination().components().count());
    covering
        .filter(|mount| mount.typ().as_deref() == Some("bind"))
        .and_then(|mount| {
            let below = path.strip_prefix(mount.destination()).ok()?;
            Some((mount.source().as_deref(), below.to_owned()))
        })
        .unwrap_or((None, path.to_owned()))
}

/// Makes a directory and those above it inside `root`; links lead nowhere else.
fn make_directories(root: &Path, path: &Path) -> io::Result<()> {
    let root = File::open(root)?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let mut reached = PathBuf::from(".");
    let mut parent = openat2(&root, &reached, how)?;
    for name in path.components() {
        let Component::Normal(name) = name else {
            continue;
        };
        reached.push(name);
        parent = match openat2(&root, &reached, how) {
            Err(nix::Error::ENOENT) => {
                mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
                openat2(&root, &reached, how)?
            }
            opened => opened?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_side_by_side_are_named_shortly_and_signs_are_escaped() {
        let bundle = Bundle {
            layers: vec!["/l/2".into(), "/l/a:b,c".into()],
            writable: "/w,x".into(),
            ..Bundle::default()
        };
        assert_eq!(shared_parent(&bundle.layers), Some(Path::new("/l")));
        assert_eq!(
            options(&bundle, true),
            r"lowerdir=2:a\:b\,c,upperdir=/w\,x/upper,workdir=/w\,x/work,volatile"
        );
        let apart = ["/l/2".into(), "/m/1".into()];
        assert_eq!(shared_parent(&apart), None);
    }

    #[test]
    fn directories_are_made_inside_the_root_whatever_links_say() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../outside", root.join("relative")).unwrap();
        std::os::unix::fs::symlink("/b", root.join("absolute")).unwrap();
        fs::create_dir(root.join("b")).unwrap();
        make_directories(&root, Path::new("/a/b/c")).unwrap();
        make_directories(&root, Path::new("/absolute/x")).unwrap();
        assert!(root.join("a/b/c").is_dir());
        assert!(root.join("b/x").is_dir());
        // The link leads to /outside inside the root, where nothing is.
        assert!(make_directories(&root, Path::new("/relative/x")).is_err());
        assert!(!folder.path().join("outside/x").exists());
    }
}
