//! Files that change all at once, in Kubernetes' own layout (`pkg/volume/util/atomic_writer.go`):
//!
//! ```text
//! volume/..2026_11_28_03_04_05.000000001/key     the files
//! volume/..data -> ..2026_11_28_03_04_05.000000001
//! volume/key -> ..data/key
//! ```
//!
//! A change is a new folder and one rename of `..data`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// What a group of its own may do with files that nobody writes.
const GROUP_READS: u32 = 0o440;

/// What new in a folder belongs to the folder's group.
const SET_GROUP: u32 = 0o2000;

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
}

impl File {
    pub(crate) fn new(bytes: Vec<u8>, mode: u32) -> Self {
        Self { bytes, mode }
    }
}

/// Makes a folder hold exactly these files; says whether anything changed.
pub(crate) fn write(
    folder: &Path,
    files: &BTreeMap<String, File>,
    group: Option<u32>,
    now: Timestamp,
) -> io::Result<bool> {
    fs::create_dir_all(folder)?;
    let files = with_group(files, group);
    let current = fs::read_link(folder.join(DATA)).ok();
    if let Some(current) = &current
        && holds(&folder.join(current), &files)?
    {
        return Ok(false);
    }
    let name = now.strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string();
    let new = folder.join(&name);
    make_folder(&new, group)?;
    for (path, file) in &files {
        write_one(&new, path, file, group)?;
    }
    let link = folder.join(NEW_DATA);
    let _ = fs::remove_file(&link);
    symlink(&name, &link)?;
    fs::rename(&link, folder.join(DATA))?;
    show(folder, &files)?;
    for old in hidden(folder)?.iter().filter(|old| **old != new) {
        fs::remove_dir_all(old)?;
    }
    Ok(true)
}

/// A group that owns the volume can read all of it.
fn with_group(files: &BTreeMap<String, File>, group: Option<u32>) -> BTreeMap<String, File> {
    let added = group.map_or(0, |_| GROUP_READS);
    files
        .iter()
        .map(|(path, file)| {
            (
                path.clone(),
                File::new(file.bytes.clone(), file.mode | added),
            )
        })
        .collect()
}

/// Whether a folder has these files already.
fn holds(folder: &Path, files: &BTreeMap<String, File>) -> io::Result<bool> {
    let mut found = BTreeSet::new();
    list(folder, Path::new(""), &mut found)?;
    if found.len() != files.len() {
        return Ok(false);
    }
    for (path, file) in files {
        let is_same = |metadata: fs::Metadata| metadata.mode() & 0o7777 == file.mode;
        let full = folder.join(path);
        if !fs::metadata(&full).is_ok_and(is_same) || fs::read(&full)? != file.bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

fn list(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(below)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn write_one(root: &Path, path: &str, file: &File, group: Option<u32>) -> io::Result<()> {
    let full = root.join(path);
    let mut folder = root.to_owned();
    for part in Path::new(path).parent().into_iter().flatten() {
        folder.push(part);
        if !folder.is_dir() {
            make_folder(&folder, group)?;
        }
    }
    fs::write(&full, &file.bytes)?;
    if group.is_some() {
        chown(&full, None, group)?;
    }
    fs::set_permissions(&full, Permissions::from_mode(file.mode))
}

fn make_folder(path: &Path, group: Option<u32>) -> io::Result<()> {
    fs::create_dir(path)?;
    let mut mode = 0o755;
    if group.is_some() {
        chown(path, None, group)?;
        mode |= SET_GROUP;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Shows each top-level name by a link, and takes away those that are gone.
fn show(folder: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let first = |path: &String| path.split('/').next().unwrap_or(path).to_owned();
    let wanted: BTreeSet<String> = files.keys().map(first).collect();
    for name in &wanted {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(&name) {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}

/// The folders with files, the old ones and the new one.
fn hidden(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with("..");
        if is_hidden && entry.file_type()?.is_dir() {
            all.push(entry.path());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str, u32)]) -> BTreeMap<String, File> {
        list.iter()
            .map(|(path, text, mode)| {
                let file = File::new(text.as_bytes().to_vec(), *mode);
                ((*path).to_owned(), file)
            })
            .collect()
    }

    /// `path=text:mode` of everything that a reader sees, and how many folders there are.
    fn seen(folder: &Path) -> (String, usize) {
        let mut all = BTreeSet::new();
        list(&folder.join(DATA), Path::new(""), &mut all).unwrap();
        let lines: Vec<String> = all
            .iter()
            .map(|path| {
                let full = folder.join(path);
                let mode = fs::metadata(&full).unwrap().mode() & 0o7777;
                let text = fs::read_to_string(&full).unwrap();
                format!("{}={text}:{mode:o}", path.display())
            })
            .collect();
        (lines.join(" "), hidden(folder).unwrap().len())
    }

    #[test]
    fn all_files_change_at_once_and_nothing_old_stays() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("volume");
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = files(&[("a", "1", 0o644), ("deep/b", "2", 0o400)]);
        assert!(write(&folder, &first, None, at(1)).unwrap());
        assert_eq!(seen(&folder), ("a=1:644 deep/b=2:400".into(), 1));
        assert!(!write(&folder, &first, None, at(2)).unwrap(), "no change");

        let second = files(&[("a", "3", 0o600), ("c", "4", 0o644)]);
        assert!(write(&folder, &second, None, at(3)).unwrap());
        assert_eq!(seen(&folder), ("a=3:600 c=4:644".into(), 1));
        assert!(!folder.join("deep").exists());
        let target = fs::read_link(folder.join("a")).unwrap();
        assert_eq!(target, Path::new("..data/a"));

        let only_mode = files(&[("a", "3", 0o644), ("c", "4", 0o644)]);
        assert!(write(&folder, &only_mode, None, at(4)).unwrap());
        assert!(write(&folder, &files(&[]), None, at(5)).unwrap());
        assert_eq!(seen(&folder), (String::new(), 1));
    }

    #[test]
    fn a_reader_never_sees_half_of_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("volume");
        let version = |number: u32| {
            let text = number.to_string();
            files(&[("a", &text, 0o644), ("b", &text, 0o644)])
        };
        write(&folder, &version(0), None, Timestamp::UNIX_EPOCH).unwrap();
        let reader = {
            let folder = folder.clone();
            std::thread::spawn(move || {
                let mut seen = 0;
                while seen < 199 {
                    // Both by one look at the link, as a program that cares does it.
                    let data = folder.join(fs::read_link(folder.join(DATA)).unwrap());
                    let read = |name| fs::read_to_string(data.join(name)).ok();
                    let (Some(a), Some(b)) = (read("a"), read("b")) else {
                        continue;
                    };
                    assert_eq!(a, b);
                    seen = a.parse().unwrap();
                }
            })
        };
        for number in 1..200 {
            let now = Timestamp::from_second(number.into()).unwrap();
            write(&folder, &version(number), None, now).unwrap();
        }
        reader.join().unwrap();
    }
}
