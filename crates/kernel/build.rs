//! Builds the static echo program that the crate embeds: one file, nothing but std, linked against
//! the static C library of the host's own target, so that no further target must be installed.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let source = "echo/main.rs";
    println!("cargo::rerun-if-changed={source}");
    println!("cargo::rerun-if-changed=build.rs");
    let program = PathBuf::from(variable("OUT_DIR")).join("echo");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition=2024", "--crate-name=echo", "--crate-type=bin"])
        .args([
            "-C",
            "target-feature=+crt-static",
            "-C",
            "opt-level=s",
            "-C",
            "strip=symbols",
        ])
        .args(["-C", "panic=abort", "--target"])
        .arg(variable("TARGET"))
        .arg("-o")
        .arg(&program)
        .arg(source)
        .status()
        .expect("rustc, which cargo has just used, starts");
    assert!(
        status.success(),
        "the static echo program did not compile (is libc6-dev installed?)"
    );
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}
