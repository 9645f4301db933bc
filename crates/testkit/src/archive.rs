//! An archive as `docker save` writes it, made here from Debian's static busybox.

use std::fs;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// The image's name.
pub const NAME: &str = "test/busybox:1";

/// The commands that tests run; each is a link to busybox.
const COMMANDS: &[&str] = &[
    "cat", "echo", "false", "grep", "hostname", "id", "ls", "mkdir", "mount", "readlink", "sh",
    "sleep", "sort", "stat", "stty", "test", "touch", "true", "tail", "dd", "wc",
];

/// Who is in the image besides root.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:Web:/home/web:/bin/sh\n";
const GROUP: &str = "root:x:0:\nweb:x:102:\nextra:x:105:web\n";

/// An image of two layers; the second takes a file of the first away.
///
/// # Panics
/// When busybox is not installed.
#[must_use]
pub fn busybox() -> Vec<u8> {
    let program = Path::new("/bin/busybox");
    let program = fs::read(program).expect("install busybox-static (`make tools` does)");
    let mut first = Layer::default();
    for folder in ["bin/", "etc/", "tmp/", "root/", "home/web/"] {
        first.folder(folder);
    }
    first.file("bin/busybox", &program, 0o755);
    for command in COMMANDS {
        first.link(&format!("bin/{command}"), "busybox");
    }
    first.file("etc/passwd", PASSWD.as_bytes(), 0o644);
    first.file("etc/group", GROUP.as_bytes(), 0o644);
    first.file("etc/below", b"hidden", 0o644);
    let mut second = Layer::default();
    second.file("etc/.wh.below", b"", 0o644);
    second.file("etc/image", b"from the second layer\n", 0o644);
    let layers = [first.finish(), second.finish()];
    let config = json!({
        "architecture": match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        },
        "config": {
            "Env": ["PATH=/bin", "FROM_IMAGE=yes"],
            "Cmd": ["sh", "-c", "echo default command"],
            "WorkingDir": "/base/of/image",
        },
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| digest(layer)).collect::<Vec<_>>()},
    });
    let manifest = json!([{
        "Config": "config.json", "RepoTags": [NAME], "Layers": ["0/layer.tar", "1/layer.tar"],
    }]);
    let mut archive = Layer::default();
    archive.file("0/layer.tar", &layers[0], 0o644);
    archive.file("1/layer.tar", &layers[1], 0o644);
    archive.file("config.json", config.to_string().as_bytes(), 0o644);
    archive.file("manifest.json", manifest.to_string().as_bytes(), 0o644);
    archive.finish()
}

fn digest(bytes: &[u8]) -> String {
    let digits: Vec<String> = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{}", digits.concat())
}

/// A tar in the making.
struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

impl Layer {
    fn header(mode: u32, size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size as u64);
        header
    }

    fn file(&mut self, name: &str, bytes: &[u8], mode: u32) {
        let mut header = Self::header(mode, bytes.len());
        self.0
            .append_data(&mut header, name, bytes)
            .expect("memory takes all");
    }

    fn folder(&mut self, name: &str) {
        let mode = if name == "tmp/" { 0o1777 } else { 0o755 };
        let mut header = Self::header(mode, 0);
        header.set_entry_type(EntryType::Directory);
        self.0
            .append_data(&mut header, name, &b""[..])
            .expect("memory takes all");
    }

    fn link(&mut self, name: &str, target: &str) {
        let mut header = Self::header(0o777, 0);
        header.set_entry_type(EntryType::Symlink);
        self.0
            .append_link(&mut header, name, target)
            .expect("memory takes all");
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes all")
    }
}
