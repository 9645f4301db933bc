//! Files that tokio waits for.

use std::fs::File;
use std::io;

use tokio::io::unix::AsyncFd;

/// Has the current runtime wait for an open file that is no regular file, such as a terminal. It must be
/// non-blocking.
///
/// # Errors
/// When the kernel cannot watch such a file.
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch(file: File) -> io::Result<AsyncFd<File>> {
    // SAFETY: the file owns its descriptor, which stays open and the same until the watch, which owns the
    // file, is dropped or gives it back; nobody else can close it.
    let watched = unsafe { AsyncFd::register(file) };
    watched.map_err(io::Error::from)
}
