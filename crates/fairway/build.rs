//! Links the program to a fixed address.
//!
//! Every pod has a supervisor that is this program. Loaded anywhere, each copy has to adjust a megabyte of
//! tables (`.data.rel.ro`) and so keeps it for itself; at a fixed address the copies share it. Heap, stack and
//! libraries still have random addresses.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Other C libraries bring start files that suit one kind only.
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|name| name == "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
