//! A file of an image as a container would see it, read from its layers without mounting them.
//!
//! Every step stays below the layers: a symlink is resolved by its text, from the image's root, and nothing of
//! the machine is ever followed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// So many symlinks may be on the way, as the kernel has it.
const MOST_LINKS: usize = 40;

/// No file that is read so is longer.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Marks a folder that hides those below it.
const OPAQUE: &str = "trusted.overlay.opaque";

/// Reads a file of an image; `layers` are topmost first. `None`: there is no such file.
///
/// # Errors
/// When a layer cannot be read, or the file is too long.
pub(crate) fn read_file(layers: &[PathBuf], path: &str) -> io::Result<Option<String>> {
    let Some(found) = resolve(layers, Path::new(path))? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    File::open(found)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("{path} of the image is longer than {LONGEST} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Where the file is on the machine.
fn resolve(layers: &[PathBuf], path: &Path) -> io::Result<Option<PathBuf>> {
    let mut left: Vec<String> = reversed(path);
    let mut inside = PathBuf::new();
    let mut links = 0;
    let mut found = None;
    while let Some(part) = left.pop() {
        if part == ".." {
            inside.pop();
            continue;
        }
        let here = inside.join(&part);
        let Some(place) = look(layers, &here)? else {
            return Ok(None);
        };
        let kind = fs::symlink_metadata(&place)?.file_type();
        if kind.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Ok(None);
            }
            let target = fs::read_link(&place)?;
            if target.is_absolute() {
                inside = PathBuf::new();
            }
            left.extend(reversed(&target));
            continue;
        }
        inside = here;
        found = kind.is_file().then_some(place);
    }
    Ok(found)
}

fn reversed(path: &Path) -> Vec<String> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    });
    let mut parts: Vec<String> = parts.collect();
    parts.reverse();
    parts
}

/// The topmost layer's entry of a path without symlinks, unless a layer above takes it away.
fn look(layers: &[PathBuf], path: &Path) -> io::Result<Option<PathBuf>> {
    for layer in layers {
        let mut place = layer.clone();
        let mut hides = false;
        let mut is_there = true;
        for part in path {
            hides |= place != *layer && is_opaque(&place);
            place.push(part);
            match fs::symlink_metadata(&place) {
                Ok(found) if found.file_type().is_char_device() && found.rdev() == 0 => {
                    return Ok(None);
                }
                Ok(_) => {}
                Err(error) if is_absence(&error) => {
                    is_there = false;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if is_there {
            return Ok(Some(place));
        }
        if hides {
            return Ok(None);
        }
    }
    Ok(None)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 1];
    rustix::fs::lgetxattr(path, OPAQUE, &mut value[..])
        .is_ok_and(|length| length == 1 && value == *b"y")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_found_as_a_container_sees_them() {
        let directory = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = ["top", "bottom"]
            .iter()
            .map(|name| directory.path().join(name))
            .collect();
        for (layer, text) in [(0, "new"), (1, "old")] {
            fs::create_dir_all(layers[layer].join("etc")).unwrap();
            fs::write(layers[layer].join("etc/passwd"), text).unwrap();
        }
        fs::create_dir_all(layers[1].join("opaque")).unwrap();
        fs::create_dir_all(layers[0].join("opaque")).unwrap();
        for name in ["gone", "below", "opaque/x"] {
            fs::write(layers[1].join(name), name).unwrap();
        }
        let nothing = Mode::empty();
        let whiteout = layers[0].join("gone");
        mknodat(
            CWD,
            &whiteout,
            FileType::CharacterDevice,
            nothing,
            makedev(0, 0),
        )
        .unwrap();
        setxattr(layers[0].join("opaque"), OPAQUE, b"y", XattrFlags::empty()).unwrap();
        symlink("/etc/passwd", layers[0].join("absolute")).unwrap();
        symlink("../../../etc", layers[0].join("folder")).unwrap();
        symlink("loop", layers[0].join("loop")).unwrap();

        let cases = [
            ("/etc/passwd", Some("new")),
            ("absolute", Some("new")),
            ("folder/passwd", Some("new")),
            ("below", Some("below")),
            ("gone", None),
            ("opaque/x", None),
            ("loop", None),
            ("etc", None),
            ("etc/passwd/x", None),
            ("/../../etc/hostname", None),
        ];
        for (path, expected) in cases {
            let found = read_file(&layers, path).unwrap();
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
