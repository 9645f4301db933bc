//! What the command line says when something is asked of it that cannot be: nothing here starts anything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fairway");

/// What it prints, and its exit status.
fn says(folder: &Path, arguments: &str) -> (String, Option<i32>) {
    ends(Command::new(PROGRAM).args(arguments.split(' ')), folder)
}

fn ends(command: &mut Command, folder: &Path) -> (String, Option<i32>) {
    command.env("FAIRWAY_DATA_DIR", folder.join("data"));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

#[track_caller]
fn check(arguments: &str, code: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (text, ended) = says(folder.path(), arguments);
    assert_eq!(ended, Some(code), "{text}");
    for part in parts {
        assert!(
            text.contains(part),
            "fairway {arguments}: {part:?} is not in\n{text}"
        );
    }
    assert!(
        !folder.path().join("data").exists(),
        "fairway {arguments} made something"
    );
}

#[test]
fn wrong_options_are_named_with_what_is_right() {
    check(
        "up --nods 3",
        2,
        &["unexpected argument '--nods'", "'--nodes'"],
    );
    check(
        "up --node-port-range 5",
        2,
        &["--node-port-range", "a port range is like 30000-32767"],
    );
    check(
        "up --service-cidr 10.96.0.0/33",
        2,
        &["10.96.0.0/33", "--service-cidr"],
    );
    check("exec --client", 2, &["<COMMAND>..."]);
    check("frobnicate", 2, &["unrecognized subcommand 'frobnicate'"]);
}

#[test]
fn options_that_do_not_fit_together_are_told_all_at_once() {
    let arguments = "up --nodes 0 --load-balancer-pool 198.18.0.128/25 --service-cidr fd00::/112 --cluster-cidr 10.1.0.0/16";
    let parts = [
        "--nodes must be at least 1",
        "--load-balancer-pool 198.18.0.128/25 overlaps --lan 198.18.0.0/24",
        "--service-cidr fd00::/112 needs a --cluster-cidr of the same family",
    ];
    check(arguments, 1, &parts);
}

#[test]
fn without_a_cluster_every_command_says_so_and_what_to_do() {
    let told = "fairway up";
    for arguments in [
        "status",
        "get pods",
        "logs x",
        "explain x",
        "exec --client -- true",
        "delete pod x",
    ] {
        check(arguments, 1, &["no cluster runs", told]);
    }
}

#[test]
fn who_is_not_root_is_told_before_anything_is_made() {
    if !kernel::process::is_root() {
        return;
    }
    // Where another user may look, which the build's own folder need not be.
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let anybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), anybody).unwrap();
    let program = folder.path().join("fairway");
    std::fs::hard_link(PROGRAM, &program)
        .or_else(|_| std::fs::copy(PROGRAM, &program).map(drop))
        .unwrap();
    for (arguments, told) in [
        ("up", "sudo fairway up"),
        ("down", "sudo fairway down"),
        ("exec --client -- true", "sudo fairway exec"),
    ] {
        let mut command = Command::new(&program);
        command.args(arguments.split(' ')).uid(65534).gid(65534);
        let (text, code) = ends(&mut command, folder.path());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(told), "{text}");
    }
}
