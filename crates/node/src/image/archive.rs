//! Archives as `docker save` writes them, loaded into the store.
//!
//! The archive is read once: every member becomes a file of the ingest directory, for `manifest.json`, which
//! says what each is, may come last. Layers are told by their first bytes, not by their names, and members may
//! be symlinks to others. A layer is unpacked beside its place and renamed when its digest is right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use super::builtin::hex;
use super::reference;
use super::store::{Image, ImageError, IoContext, Store};
use super::unpack;

/// A member that is a JSON document may not be longer.
const LONGEST_DOCUMENT: u64 = 16 * 1024 * 1024;

/// One image of an archive, from `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What matters of an image's configuration.
#[derive(Debug, Deserialize)]
struct ConfigFile {
    architecture: String,
    #[serde(default)]
    config: RunConfig,
    rootfs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RunConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    stop_signal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Loads every image of an archive; returns their full names.
pub(super) fn load(store: &mut Store, archive: &Path) -> Result<Vec<String>, ImageError> {
    let ingest = store.ingest()?;
    let members = Members::read(archive, ingest.path())?;
    let manifests: Vec<Manifest> = members.document("manifest.json")?;
    let mut names = Vec::new();
    for manifest in manifests {
        names.extend(load_image(store, &members, &manifest)?);
    }
    Ok(names)
}

fn load_image(
    store: &mut Store,
    members: &Members,
    manifest: &Manifest,
) -> Result<Vec<String>, ImageError> {
    let tags = manifest.repo_tags.iter().flatten();
    let names: Vec<String> = tags.filter_map(|tag| reference::normalise(tag)).collect();
    if names.is_empty() {
        return Err(members.wrong("an image in it has no name; save it by its name, not by its id"));
    }
    let config: ConfigFile = members.document(&manifest.config)?;
    if config.architecture != architecture() {
        let message = format!(
            "{} is for {}, this machine is {}",
            names[0],
            config.architecture,
            architecture()
        );
        return Err(members.wrong(&message));
    }
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(members.wrong("an image in it has not as many layers as digests"));
    }
    let mut layers: Vec<PathBuf> = Vec::new();
    let mut size = 0;
    let mut chain = String::new();
    for (member, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
        chain = chain_id(&chain, diff_id);
        let (path, bytes) = match store.layer(&chain) {
            Some(known) => known,
            None => add_layer(store, members, (member, diff_id, &chain), &layers)?,
        };
        layers.insert(0, path);
        size += bytes;
    }
    let digest = digest_of(&members.path(&manifest.config)?)?;
    for name in &names {
        store.put(name, image(name, &digest, (&config.config, &layers, size)))?;
    }
    Ok(names)
}

/// A layer is named by all layers up to it (OCI image specification, "layer chainID"): what it looks like
/// depends on those below.
fn chain_id(below: &str, diff_id: &str) -> String {
    if below.is_empty() {
        return diff_id.to_owned();
    }
    let digest = Sha256::digest(format!("{below} {diff_id}"));
    format!("sha256:{}", hex(&digest))
}

fn add_layer(
    store: &mut Store,
    members: &Members,
    (member, diff_id, chain): (&str, &str, &str),
    below: &[PathBuf],
) -> Result<(PathBuf, u64), ImageError> {
    let path = members.path(member)?;
    let new = store.new_layer()?;
    let mut reader = Hashing {
        inner: open_layer(&path)?,
        hash: Sha256::new(),
    };
    let unpacked = unpack::unpack(&mut reader, &new, below);
    let result = unpacked
        .map_err(|source| ImageError::Layer {
            member: member.to_owned(),
            source,
        })
        .and_then(|size| {
            io::copy(&mut reader, &mut io::sink()).context("read", &path)?;
            let found = format!("sha256:{}", hex(&reader.hash.finalize_reset()));
            if found != diff_id {
                let message =
                    format!("layer {member} is damaged: its digest is {found}, not {diff_id}");
                return Err(members.wrong(&message));
            }
            unpack::sync(&new).context("write to disk", &new)?;
            Ok(size)
        });
    match result {
        Ok(size) => store.keep_layer(chain, &new, size),
        Err(error) => {
            let _ = fs::remove_dir_all(&new);
            Err(error)
        }
    }
}

fn open_layer(path: &Path) -> Result<Box<dyn Read>, ImageError> {
    let mut file = BufReader::new(File::open(path).context("open", path)?);
    let mut magic = [0; 4];
    let length = file.read(&mut magic).context("read", path)?;
    file.rewind().context("read", path)?;
    match &magic[..length] {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => Err(ImageError::Archive {
            path: path.to_owned(),
            message: "a layer is compressed with zstd, which is not read yet; save it with gzip"
                .into(),
        }),
        _ => Ok(Box::new(file)),
    }
}

fn image(name: &str, digest: &str, parts: (&RunConfig, &[PathBuf], u64)) -> Image {
    let (config, layers, size) = parts;
    let repository = name
        .rsplit_once(':')
        .map_or(name, |(repository, _)| repository);
    let pair = |text: &String| {
        let (key, value) = text.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    Image {
        id: format!("{repository}@sha256:{digest}"),
        layers: layers.to_vec(),
        entrypoint: config.entrypoint.clone().unwrap_or_default(),
        command: config.cmd.clone().unwrap_or_default(),
        environment: config.env.iter().flatten().filter_map(pair).collect(),
        working_directory: config.working_dir.clone().unwrap_or_default(),
        user: config.user.clone().unwrap_or_default(),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        builtin: false,
        size: size.try_into().unwrap_or(i64::MAX),
    }
}

/// The members of an archive, as files of the ingest directory.
struct Members {
    archive: PathBuf,
    files: BTreeMap<String, PathBuf>,
    links: BTreeMap<String, String>,
}

impl Members {
    fn read(archive: &Path, into: &Path) -> Result<Self, ImageError> {
        let file = File::open(archive).context("open", archive)?;
        let mut members = Self {
            archive: archive.to_owned(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let mut tar = Archive::new(BufReader::new(file));
        for entry in tar.entries().context("read", archive)? {
            let mut entry = entry.context("read", archive)?;
            let name = plain(&entry.path().context("read", archive)?);
            match entry.header().entry_type() {
                EntryType::Regular => {
                    let path = into.join(members.files.len().to_string());
                    let mut copy = File::create_new(&path).context("create", &path)?;
                    io::copy(&mut entry, &mut copy).context("write", &path)?;
                    members.files.insert(name, path);
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry
                        .link_name()
                        .context("read", archive)?
                        .unwrap_or_default();
                    let is_symlink = entry.header().entry_type() == EntryType::Symlink;
                    let base = Path::new(&name).parent().filter(|_| is_symlink);
                    let target = base.unwrap_or(Path::new("")).join(target);
                    members.links.insert(name, plain(&target));
                }
                _ => {}
            }
        }
        Ok(members)
    }

    fn path(&self, name: &str) -> Result<PathBuf, ImageError> {
        let name = plain(Path::new(name));
        let target = self.links.get(&name).unwrap_or(&name);
        let found = self.files.get(target).cloned();
        found.ok_or_else(|| self.wrong(&format!("it has no member {name}")))
    }

    fn document<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, ImageError> {
        let path = self.path(name)?;
        let mut text = Vec::new();
        let file = File::open(&path).context("open", &path)?;
        file.take(LONGEST_DOCUMENT)
            .read_to_end(&mut text)
            .context("read", &path)?;
        serde_json::from_slice(&text)
            .map_err(|error| self.wrong(&format!("its member {name} is not understood: {error}")))
    }

    fn wrong(&self, message: &str) -> ImageError {
        ImageError::Archive {
            path: self.archive.clone(),
            message: message.to_owned(),
        }
    }
}

/// A member's name without `.` and with `..` resolved, by text alone: names are only keys here.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.to_string_lossy().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part.to_owned()),
        }
    }
    parts.join("/")
}

fn digest_of(path: &Path) -> Result<String, ImageError> {
    let text = fs::read(path).context("read", path)?;
    Ok(hex(&Sha256::digest(text)))
}

/// This machine's architecture by Go's name, as images have it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Hashes what is read through it.
struct Hashing {
    inner: Box<dyn Read>,
    hash: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
