//! The image that needs no registry and no archive: `fairway/echo`, one static program.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::store::{Image, ImageError, IoContext};

/// The built-in image's full name, without its tag: every tag is this one.
const NAME: &str = "docker.io/fairway/echo";

/// The one that lists show.
pub(super) const FULL_NAME: &str = "docker.io/fairway/echo:latest";

/// The program's name in the image's root.
const PROGRAM: &str = "echo";

/// Whether a full name means the built-in image.
pub(super) fn is_named(reference: &str) -> bool {
    reference
        .strip_prefix(NAME)
        .is_some_and(|rest| rest.starts_with(':'))
}

/// The built-in image; its layer is written when it is not there yet.
pub(super) fn image(store: &Path) -> Result<Image, ImageError> {
    let digest = hex(&Sha256::digest(kernel::echo::PROGRAM));
    let layer = store
        .join("builtin")
        .join(format!("echo-{}", &digest[..12]));
    if !layer.join(PROGRAM).exists() {
        write(&layer)?;
    }
    Ok(Image {
        id: format!("{NAME}@sha256:{digest}"),
        entrypoint: vec![format!("/{PROGRAM}")],
        layers: vec![layer],
        builtin: true,
        size: kernel::echo::PROGRAM.len().try_into().unwrap_or(i64::MAX),
        ..Image::default()
    })
}

/// Written beside and renamed, for several nodes may do it at once. The name must not be open for writing
/// when it is executed ("Text file busy"), so it is synchronously closed before the rename.
fn write(layer: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(layer).context("create", layer)?;
    fs::set_permissions(layer, fs::Permissions::from_mode(0o755)).context("open up", layer)?;
    let temporary = layer.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o755)
        .open(&temporary)
        .context("create", &temporary)?;
    file.write_all(kernel::echo::PROGRAM)
        .context("write", &temporary)?;
    drop(file);
    let path = layer.join(PROGRAM);
    fs::rename(&temporary, &path).context("replace", &path)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
