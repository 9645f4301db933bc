//! Honest and hostile layers; needs root, for owners and whiteouts.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use tar::{Builder, Header};

use super::*;

/// `kind name [target]` lines: `d`ir, `f`ile, `s`ymlink, hard `l`ink, `c`har device 0/0.
fn layer(lines: &[&str]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let mut header = Header::new_gnu();
        header.set_mode(if words[0] == "d" { 0o1777 } else { 0o4755 });
        header.set_uid(12);
        header.set_gid(34);
        header.set_entry_type(match words[0] {
            "d" => EntryType::Directory,
            "f" => EntryType::Regular,
            "s" => EntryType::Symlink,
            "l" => EntryType::Link,
            _ => EntryType::Char,
        });
        let text = if words[0] == "f" {
            words[1].as_bytes()
        } else {
            b""
        };
        header.set_size(text.len() as u64);
        if let Some(target) = words.get(2) {
            header.set_link_name_literal(target).unwrap();
        }
        // Written by hand, for the builder itself refuses names like `..`.
        let name = words[1].as_bytes();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        builder.append(&header, text).unwrap();
    }
    builder.into_inner().unwrap()
}

fn try_unpack(lines: &[&str], below: &[PathBuf]) -> (tempfile::TempDir, Result<u64, UnpackError>) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let result = unpack(layer(lines).as_slice(), &root, below);
    (directory, result)
}

#[test]
fn files_keep_owner_mode_and_content() {
    let lines = [
        "d a/",
        "f a/x",
        "s link a/x",
        "l hard a/x",
        "f /absolute",
        "f ./b/c/deep",
    ];
    let (directory, result) = try_unpack(&lines, &[]);
    result.unwrap();
    let root = directory.path().join("root");
    let file = std::fs::metadata(root.join("a/x")).unwrap();
    assert_eq!(
        (file.uid(), file.gid(), file.mode() & 0o7777),
        (12, 34, 0o4755)
    );
    assert_eq!(
        std::fs::metadata(root.join("a")).unwrap().mode() & 0o7777,
        0o1777
    );
    assert_eq!(
        std::fs::metadata(root.join("hard")).unwrap().ino(),
        file.ino()
    );
    assert_eq!(
        std::fs::read_link(root.join("link")).unwrap(),
        Path::new("a/x")
    );
    assert_eq!(
        std::fs::read_to_string(root.join("b/c/deep")).unwrap(),
        "./b/c/deep"
    );
    assert!(root.join("absolute").exists());
}

#[test]
fn whiteouts_become_overlays() {
    let (directory, result) = try_unpack(&["f a/.wh.gone", "d b", "f b/.wh..wh..opq"], &[]);
    result.unwrap();
    let root = directory.path().join("root");
    let gone = std::fs::symlink_metadata(root.join("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let mut value = [0; 8];
    let length =
        rustix::fs::getxattr(root.join("b"), "trusted.overlay.opaque", &mut value).unwrap();
    assert_eq!(&value[..length], b"y");
    assert!(!root.join("b/.wh..wh..opq").exists());
}

#[test]
fn missing_parents_look_as_below() {
    let (below, result) = try_unpack(&["d tmp"], &[]);
    result.unwrap();
    let (directory, result) = try_unpack(&["f tmp/x"], &[below.path().join("root")]);
    result.unwrap();
    let tmp = std::fs::metadata(directory.path().join("root/tmp")).unwrap();
    assert_eq!((tmp.mode() & 0o7777, tmp.uid()), (0o1777, 12));
}

#[test]
fn hostile_layers_are_refused_and_touch_nothing() {
    let cases: &[&[&str]] = &[
        &["f ../outside"],
        &["f a/../../outside"],
        &["s a /", "f a/outside"],
        &["s a ..", "f a/outside"],
        &["l passwd ../../etc/passwd"],
        &["s a ..", "l x a/secret"],
        &["s a ..", "f a/.wh.secret"],
        &["c null"],
    ];
    for lines in cases {
        let (directory, result) = try_unpack(&[], &[]);
        result.unwrap();
        std::fs::write(directory.path().join("secret"), "kept").unwrap();
        let root = directory.path().join("root");
        assert!(
            unpack(layer(lines).as_slice(), &root, &[]).is_err(),
            "{lines:?}"
        );
        let mut names: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["root", "secret"], "{lines:?}");
        assert_eq!(
            std::fs::metadata(directory.path().join("secret"))
                .unwrap()
                .nlink(),
            1
        );
    }
}
