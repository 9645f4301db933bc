//! The dependency edges between crates are those of ARCHITECTURE.md, and no others.

use std::collections::BTreeMap;
use std::path::Path;

/// Crate → the crates of this workspace it may depend on. A new edge is an architectural change: it is
/// argued in `design/`, drawn in ARCHITECTURE.md, and then entered here.
const ALLOWED: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("forwarding", &[]),
    ("store", &[]),
    ("kernel", &[]),
    ("dataplane", &["forwarding", "kernel"]),
    ("apiserver", &["api", "store"]),
    ("controllers", &["api"]),
    ("pod", &["kernel"]),
    ("node", &["api", "kernel", "pod"]),
    ("proxy", &["api", "dataplane", "forwarding", "kernel"]),
    ("balancer", &["api", "dataplane", "forwarding", "kernel"]),
    ("cluster", &["kernel"]),
    (
        "fairway",
        &[
            "api",
            "apiserver",
            "balancer",
            "cluster",
            "controllers",
            "kernel",
            "node",
            "pod",
            "proxy",
            "store",
        ],
    ),
];

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, &edges) in &allowed {
        for dependency in dependencies(name) {
            if allowed.contains_key(dependency.as_str()) && !edges.contains(&dependency.as_str()) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "edges that ARCHITECTURE.md does not have: {wrong:?}"
    );
}

#[test]
fn every_crate_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    for entry in std::fs::read_dir(root).expect("crates/ exists") {
        let name = entry
            .expect("readable")
            .file_name()
            .into_string()
            .expect("UTF-8");
        let known = name == "testkit" || ALLOWED.iter().any(|(known, _)| *known == name);
        assert!(known, "crates/{name} is not in the table of edges");
    }
}

/// The names in a manifest's `[dependencies]` (tests may use more).
fn dependencies(name: &str) -> Vec<String> {
    let manifest =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../crates/{name}/Cargo.toml"));
    let text = std::fs::read_to_string(&manifest).expect("every crate has a manifest");
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or("");
    let section = section.split("\n[").next().unwrap_or("");
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .map(str::to_owned)
        .collect()
}
