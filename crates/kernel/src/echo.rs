//! The program of the built-in image `fairway/echo`: static, so that it runs in an empty root. Its
//! source is `echo/main.rs`; the build script compiles it.

/// The program itself, an ELF file for this machine's processor.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/echo"));
