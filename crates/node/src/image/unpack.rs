//! A layer's tar becomes a directory for overlay, and nothing outside of it is touched.
//!
//! Every name is opened relative to the layer's directory with openat2(2), which follows no symlink and leaves
//! no tree. What would confuse overlay is refused: devices 0/0 and `trusted.overlay.*` attributes, which are
//! its own words for whiteouts. Whiteouts of the image format (`.wh.name`, `.wh..wh..opq`) become those.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid,
    XattrFlags, chownat, fchmod, fchown, fsetxattr, futimens, linkat, makedev, mkdirat, mknodat,
    open, openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};
use thiserror::Error;

/// A layer may not hold more files.
const MOST_ENTRIES: u64 = 2_000_000;

/// A layer may not be larger unpacked.
const MOST_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Marks a name as deleted in this layer.
const WHITEOUT: &str = ".wh.";

/// Marks a directory as hiding those below it.
const OPAQUE: &str = ".wh..wh..opq";

/// Attributes begin so in PAX headers.
const PAX_ATTRIBUTE: &str = "SCHILY.xattr.";

/// Why a layer was not unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The tar is damaged, or the disk is full.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// An entry that no honest layer has.
    #[error("entry {path:?} is refused: {why}")]
    Refused {
        /// The entry's name.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system refused an entry.
    #[error("entry {path:?} cannot be made: {source}")]
    Entry {
        /// The entry's name.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// More than any layer should have.
    #[error("the layer is larger than {MOST_BYTES} bytes or has more than {MOST_ENTRIES} files")]
    TooLarge,
}

/// Unpacks a layer into an empty directory; `below` are the layers under it, the topmost first. Returns the
/// size of its files.
pub(super) fn unpack(
    reader: impl Read,
    into: &Path,
    below: &[PathBuf],
) -> Result<u64, UnpackError> {
    let layer = Layer {
        root: open_root(into)?,
        below: open_all(below)?,
    };
    let mut archive = Archive::new(reader);
    let (mut entries, mut bytes) = (0, 0);
    for entry in archive.entries()? {
        let mut entry = entry?;
        entries += 1;
        bytes += entry.size();
        if entries > MOST_ENTRIES || bytes > MOST_BYTES {
            return Err(UnpackError::TooLarge);
        }
        layer.add(&mut entry)?;
    }
    Ok(bytes)
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
    Ok(open(path, flags, Mode::empty())?)
}

fn open_all(paths: &[PathBuf]) -> io::Result<Vec<OwnedFd>> {
    paths.iter().map(|path| open_root(path)).collect()
}

struct Layer {
    root: OwnedFd,
    below: Vec<OwnedFd>,
}

/// Where an entry goes: an open directory and a name in it.
struct Place {
    parent: OwnedFd,
    name: String,
}

impl Layer {
    fn add<R: Read>(&self, entry: &mut Entry<'_, R>) -> Result<(), UnpackError> {
        let path = entry.path()?.into_owned();
        let failed = |source: io::Error| UnpackError::Entry {
            path: path.clone(),
            source,
        };
        let refused = |why| UnpackError::Refused {
            path: path.clone(),
            why,
        };
        let Some(parts) = parts(&path).map_err(refused)? else {
            return Ok(());
        };
        let place = self.place(&parts).map_err(failed)?;
        if let Some(hidden) = place.name.strip_prefix(WHITEOUT) {
            return hide(&place, hidden).map_err(failed);
        }
        let attributes = attributes(entry).map_err(refused)?;
        let owner = owner(entry)?;
        match entry.header().entry_type() {
            EntryType::Directory => make_directory(&place).map_err(failed)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let file = make_file(&place).map_err(failed)?;
                io::copy(entry, &mut File::from(file))?;
            }
            EntryType::Symlink => {
                let target = entry
                    .link_name()?
                    .ok_or_else(|| refused("a symlink to nothing"))?;
                return make_symlink(&place, &target, &owner).map_err(failed);
            }
            EntryType::Link => {
                let target = entry
                    .link_name()?
                    .ok_or_else(|| refused("a link to nothing"))?;
                let parts = self::parts(&target).map_err(refused)?;
                let parts = parts.ok_or_else(|| refused("a link to the root"))?;
                let target = self.existing(&parts).map_err(failed)?;
                return make_link(&target, &place).map_err(failed);
            }
            kind @ (EntryType::Char | EntryType::Block | EntryType::Fifo) => {
                let device = device(entry, kind).map_err(refused)?;
                make_device(&place, kind, device, &owner).map_err(failed)?;
                return Ok(());
            }
            // Headers that only speak about other entries.
            _ => return Ok(()),
        }
        finish(&place, &owner, &attributes).map_err(failed)
    }

    /// Finds an entry's directory, making what is missing on the way.
    fn place(&self, parts: &[String]) -> io::Result<Place> {
        let (name, parents) = parts.split_last().expect("a path has a last part");
        for length in 1..=parents.len() {
            let path = parents[..length].join("/");
            match open_below(self.root.as_fd(), &path) {
                Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {
                    self.make_parent(&path)?;
                }
                Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {
                    return Err(error);
                }
                other => drop(other?),
            }
        }
        let parent = open_below(self.root.as_fd(), &or_here(&parents.join("/")))?;
        Ok(Place {
            parent,
            name: name.clone(),
        })
    }

    fn existing(&self, parts: &[String]) -> io::Result<Place> {
        let (name, parents) = parts.split_last().expect("a path has a last part");
        let parent = open_below(self.root.as_fd(), &or_here(&parents.join("/")))?;
        Ok(Place {
            parent,
            name: name.clone(),
        })
    }

    /// A directory that the tar leaves out looks as it does in the layers below, or `/tmp` would lose its
    /// mode.
    fn make_parent(&self, path: &str) -> io::Result<()> {
        let like = self.below.iter().find_map(|layer| {
            statat(layer, path, AtFlags::SYMLINK_NOFOLLOW)
                .ok()
                .filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        });
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let parent = open_below(self.root.as_fd(), parent)?;
        mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
        if let Some(Stat {
            st_mode,
            st_uid,
            st_gid,
            ..
        }) = like
        {
            let directory = open_for_change(&parent, name)?;
            fchown(
                &directory,
                Some(Uid::from_raw(st_uid)),
                Some(Gid::from_raw(st_gid)),
            )?;
            fchmod(&directory, Mode::from_raw_mode(st_mode & 0o7777))?;
        }
        Ok(())
    }
}

/// A path's parts below the root; `None` for the root itself.
fn parts(path: &Path) -> Result<Option<Vec<String>>, &'static str> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => {
                let part = part.to_str().ok_or("its name is not UTF-8")?;
                parts.push(part.to_owned());
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err("it leaves the layer (..)"),
        }
    }
    if parts.iter().any(|part| part.len() > 255) {
        return Err("a part of its name is longer than 255 bytes");
    }
    Ok((!parts.is_empty()).then_some(parts))
}

fn or_here(path: &str) -> String {
    if path.is_empty() {
        ".".to_owned()
    } else {
        path.to_owned()
    }
}

/// Opens a directory below another, through no symlink.
fn open_below(root: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
    Ok(openat2(root, path, flags, Mode::empty(), resolve)?)
}

fn open_for_change(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(parent, name, flags, Mode::empty(), resolve)?)
}

/// What a finished entry looks like.
struct Owner {
    uid: Uid,
    gid: Gid,
    mode: Mode,
    times: Timestamps,
}

fn owner<R: Read>(entry: &Entry<'_, R>) -> io::Result<Owner> {
    let header = entry.header();
    let number = |value: u64| {
        u32::try_from(value).map_err(|_| io::Error::other("an owner's number is too large"))
    };
    let seconds = i64::try_from(header.mtime()?).unwrap_or(0);
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    Ok(Owner {
        uid: Uid::from_raw(number(header.uid()?)?),
        gid: Gid::from_raw(number(header.gid()?)?),
        mode: Mode::from_raw_mode(header.mode()? & 0o7777),
        times: Timestamps {
            last_access: time,
            last_modification: time,
        },
    })
}

/// Extended attributes that are kept.
fn attributes<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<(String, Vec<u8>)>, &'static str> {
    let mut kept = Vec::new();
    let extensions = entry
        .pax_extensions()
        .map_err(|_| "its PAX header is damaged")?;
    for extension in extensions.into_iter().flatten() {
        let extension = extension.map_err(|_| "its PAX header is damaged")?;
        let Some(name) = extension
            .key()
            .ok()
            .and_then(|key| key.strip_prefix(PAX_ATTRIBUTE))
        else {
            continue;
        };
        if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
            return Err("it carries overlay's own attributes");
        }
        if name == "security.capability" || name.starts_with("user.") {
            kept.push((name.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    Ok(kept)
}

/// Owner first: a change of owner clears setuid (chown(2)).
fn finish(place: &Place, owner: &Owner, attributes: &[(String, Vec<u8>)]) -> io::Result<()> {
    let file = open_for_change(&place.parent, &place.name)?;
    fchown(&file, Some(owner.uid), Some(owner.gid))?;
    fchmod(&file, owner.mode)?;
    for (name, value) in attributes {
        fsetxattr(&file, name.as_str(), value, XattrFlags::empty())?;
    }
    Ok(futimens(&file, &owner.times)?)
}

/// Removes what has the name already, unless it is a directory with something in it.
fn clear(place: &Place) -> io::Result<()> {
    match unlinkat(&place.parent, &place.name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Ok(unlinkat(&place.parent, &place.name, AtFlags::REMOVEDIR)?),
        Err(error) => Err(error.into()),
    }
}

fn make_directory(place: &Place) -> io::Result<()> {
    let known = statat(&place.parent, &place.name, AtFlags::SYMLINK_NOFOLLOW);
    if known.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory) {
        return Ok(());
    }
    clear(place)?;
    Ok(mkdirat(
        &place.parent,
        &place.name,
        Mode::from_raw_mode(0o755),
    )?)
}

fn make_file(place: &Place) -> io::Result<OwnedFd> {
    clear(place)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let mode = Mode::from_raw_mode(0o600);
    Ok(openat2(
        &place.parent,
        place.name.as_str(),
        flags,
        mode,
        resolve,
    )?)
}

fn make_symlink(place: &Place, target: &Path, owner: &Owner) -> io::Result<()> {
    clear(place)?;
    symlinkat(target, &place.parent, &place.name)?;
    let here = AtFlags::SYMLINK_NOFOLLOW;
    chownat(
        &place.parent,
        &place.name,
        Some(owner.uid),
        Some(owner.gid),
        here,
    )?;
    Ok(utimensat(&place.parent, &place.name, &owner.times, here)?)
}

fn make_link(target: &Place, place: &Place) -> io::Result<()> {
    clear(place)?;
    Ok(linkat(
        &target.parent,
        &target.name,
        &place.parent,
        &place.name,
        AtFlags::empty(),
    )?)
}

fn device<R: Read>(entry: &Entry<'_, R>, kind: EntryType) -> Result<Dev, &'static str> {
    if kind == EntryType::Fifo {
        return Ok(0);
    }
    let header = entry.header();
    let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
    match (number(header.device_major()), number(header.device_minor())) {
        (0, 0) => Err("it is overlay's own whiteout, a device 0/0"),
        (major, minor) => Ok(makedev(major, minor)),
    }
}

fn make_device(place: &Place, kind: EntryType, device: Dev, owner: &Owner) -> io::Result<()> {
    clear(place)?;
    let kind = match kind {
        EntryType::Char => FileType::CharacterDevice,
        EntryType::Block => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    mknodat(&place.parent, &place.name, kind, owner.mode, device)?;
    let here = AtFlags::SYMLINK_NOFOLLOW;
    Ok(chownat(
        &place.parent,
        &place.name,
        Some(owner.uid),
        Some(owner.gid),
        here,
    )?)
}

/// Writes a whiteout as overlay wants it.
fn hide(place: &Place, hidden: &str) -> io::Result<()> {
    if place.name == OPAQUE {
        let directory = open_for_change(&place.parent, ".")?;
        return Ok(fsetxattr(
            &directory,
            "trusted.overlay.opaque",
            b"y",
            XattrFlags::empty(),
        )?);
    }
    if hidden.is_empty() || hidden.starts_with(".wh.") {
        return Ok(());
    }
    let place = Place {
        parent: place.parent.try_clone()?,
        name: hidden.to_owned(),
    };
    clear(&place)?;
    let nobody = Mode::empty();
    Ok(mknodat(
        &place.parent,
        &place.name,
        FileType::CharacterDevice,
        nobody,
        makedev(0, 0),
    )?)
}

/// Writes everything of the file system that holds `path` to disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    Ok(rustix::fs::syncfs(&directory)?)
}

#[cfg(test)]
mod tests;
