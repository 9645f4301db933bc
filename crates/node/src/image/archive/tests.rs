//! Archives made here, as docker and its likes write them; needs root, for layers have owners.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, Header};

use super::*;
use crate::image::ImageStore;

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(text.len() as u64);
        match name.split_once(" -> ") {
            Some((name, target)) => {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, name, target).unwrap();
            }
            None => builder.append_data(&mut header, name, *text).unwrap(),
        }
    }
    builder.into_inner().unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn digest(text: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

/// An archive of two layers; `damage` changes what is said of the second.
fn archive(tag: &str, damage: bool) -> Vec<u8> {
    let first = tar_of(&[("bin/app", b"one"), ("etc/x", b"x")]);
    let second = tar_of(&[("bin/app", b"two"), ("etc/.wh.x", b"")]);
    let second_id = if damage {
        digest(b"other")
    } else {
        digest(&second)
    };
    let config = json!({
        "architecture": architecture(),
        "config": {"Entrypoint": ["/bin/app"], "Cmd": null, "Env": ["A=b=c"], "User": "1000"},
        "rootfs": {"type": "layers", "diff_ids": [digest(&first), second_id]},
    });
    let manifest = json!([{
        "Config": "config.json", "RepoTags": [tag],
        "Layers": ["one/layer.tar", "two/layer.tar"],
    }]);
    tar_of(&[
        ("blobs/first", &gzip(&first)),
        ("one/layer.tar -> ../blobs/first", b""),
        ("two/layer.tar", &second),
        ("config.json", config.to_string().as_bytes()),
        ("manifest.json", manifest.to_string().as_bytes()),
    ])
}

fn load(store: &ImageStore, archive: &[u8]) -> Result<Vec<String>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(archive).unwrap();
    store.load(file.path()).map_err(|error| error.to_string())
}

#[test]
fn an_archive_becomes_an_image_with_layers() {
    let directory = tempfile::tempdir().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let names = load(&store, &archive("team/app:1", false)).unwrap();
    assert_eq!(names, ["docker.io/team/app:1"]);
    let image = store.find("team/app:1").unwrap();
    assert_eq!(image.entrypoint, ["/bin/app"]);
    assert_eq!(image.environment, [("A".to_owned(), "b=c".to_owned())]);
    let texts: Vec<String> = image
        .layers
        .iter()
        .map(|layer| fs::read_to_string(layer.join("bin/app")).unwrap())
        .collect();
    assert_eq!(texts, ["two", "one"], "the topmost layer first");

    // The same layers under another name are not unpacked again.
    load(&store, &archive("team/app:2", false)).unwrap();
    assert_eq!(store.find("team/app:2").unwrap().layers, image.layers);
    assert_eq!(
        fs::read_dir(directory.path().join("ingest"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let error = load(&store, &archive("team/app:1", true)).unwrap_err();
    assert!(error.contains("damaged"), "{error}");
    assert!(store.find("team/app:1").is_err());
    let layers = fs::read_dir(directory.path().join("layers"))
        .unwrap()
        .count();
    assert_eq!(layers, 1, "the first layer was right");
}

#[test]
fn what_is_no_archive_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let error = load(&store, &tar_of(&[("a", b"b")])).unwrap_err();
    assert!(error.contains("no member manifest.json"), "{error}");
    assert!(load(&store, b"nonsense").is_err());
}
