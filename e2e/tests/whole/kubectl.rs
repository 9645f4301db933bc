//! Unmodified kubectl against a running cluster with pods: every verb that people use, played from
//! `kubectl/*.txt`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Host, Product, script};

/// The scripts, in this order, on one cluster.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubectl");

#[test]
fn kubectl_works_as_on_any_cluster() {
    let programs = programs();
    if programs.is_empty() {
        // Written past the test's own capture, so that it is seen.
        let told = "LEFT OUT: kubectl is not on the PATH and FAIRWAY_KUBECTL names none, so nothing of kubectl was tested\n";
        std::io::stderr().write_all(told.as_bytes()).ok();
    }
    for program in programs {
        play(&program);
    }
}

/// Those that `FAIRWAY_KUBECTL` names (as PATH names folders), else the one on the PATH.
fn programs() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("FAIRWAY_KUBECTL") {
        return std::env::split_paths(&named).collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    found.filter(|program| program.is_file()).take(1).collect()
}

fn play(kubectl: &Path) {
    let host = Host::new();
    let product = Product::new(&host, "data");
    product.up(&["--nodes", "2", "--node-monitor-grace-period", "60s"]);
    let folder = host.path("play");
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs).unwrap();
    std::os::unix::fs::symlink(kubectl, programs.join("kubectl")).unwrap();
    std::os::unix::fs::symlink(product.program(), programs.join("fairway")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let shell = |line: &str| {
        let mut command: Command = product.command("sh", &["-c", line]);
        command.env("PATH", &path).env("HOME", &folder);
        command.env("FAIRWAY_DATA_DIR", product.place().data_dir());
        command
    };
    let mut wrong = Vec::new();
    for name in scripts() {
        let text = std::fs::read_to_string(&name).unwrap();
        let name = name.file_name().unwrap().to_string_lossy().into_owned();
        let here = script::play(&text, &folder, shell);
        wrong.extend(here.into_iter().map(|text| format!("{name}, {text}")));
    }
    assert!(
        wrong.is_empty(),
        "{} with {}:\n{}",
        wrong.len(),
        kubectl.display(),
        wrong.join("\n")
    );
    product.run(&["down"]);
}

fn scripts() -> Vec<PathBuf> {
    let only = std::env::var("FAIRWAY_SCRIPT").unwrap_or_default();
    let entries = std::fs::read_dir(SCRIPTS)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}
