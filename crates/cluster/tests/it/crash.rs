//! A launcher that is a process of its own: in the background, ended by `down`, killed at any moment.

use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::{Options, Place};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::{Lab, assert_nothing_left, pids, until};

const DATA_DIR: &str = "CLUSTER_TEST_DATA_DIR";
const PROGRAM: &str = "CLUSTER_TEST_PROGRAM";

/// Not a test but the launcher that the tests here start: this program again, told to run only this.
#[test]
#[ignore = "the launcher process of other tests"]
fn launcher_process() {
    let (Some(data_dir), Some(program)) = (std::env::var_os(DATA_DIR), std::env::var_os(PROGRAM))
    else {
        return;
    };
    let mut options = Options::new(program.into(), data_dir.into());
    options.nodes = 2;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut told_to_end = signal(SignalKind::terminate()).unwrap();
        let running = cluster::up(options, |_| {}).await.unwrap();
        told_to_end.recv().await;
        running.end(false).await.unwrap();
    });
}

const ARGUMENTS: [&str; 3] = ["--exact", "crash::launcher_process", "--ignored"];

fn launcher(lab: &Lab, place: &Place) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(ARGUMENTS)
        .env(DATA_DIR, place.data_dir())
        .env(PROGRAM, lab.program());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn place(lab: &Lab) -> Place {
    Place::of(&lab.options("data").data_dir).unwrap()
}

#[test]
fn a_launcher_in_the_background_is_ready_when_its_starter_returns_and_ends_with_down() {
    Lab::run(|lab| async move {
        let place = place(&lab);
        let mut arguments: Vec<OsString> = vec![
            "-c".into(),
            "exec env \"$@\"".into(),
            "sh".into(),
            format!("{DATA_DIR}={}", place.data_dir().display()).into(),
            format!("{PROGRAM}={}", lab.program().display()).into(),
            std::env::current_exe().unwrap().into(),
        ];
        arguments.extend(ARGUMENTS.map(OsString::from));
        cluster::detach("/bin/sh".as_ref(), &arguments, &place)
            .await
            .unwrap();
        let status = cluster::status(&place).unwrap();
        assert!(status.launcher.is_some());
        assert!(status.roles.iter().all(|role| role.pid.is_some()));
        cluster::down(&place, true).await.unwrap();
        assert_nothing_left(&place).await;
        assert!(place.logs().exists(), "down --keep-data lost the data");
        cluster::down(&place, false).await.unwrap();
        assert!(!place.data_dir().exists());
    });
}

#[test]
fn a_launcher_that_fails_in_the_background_is_told_with_its_log() {
    Lab::run(|lab| async move {
        let place = place(&lab);
        let arguments = ["-c", "echo out of luck >&2; exit 1"].map(OsString::from);
        let error = cluster::detach("/bin/sh".as_ref(), &arguments, &place)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("out of luck"), "{error}");
    });
}

#[test]
fn a_launcher_killed_at_any_moment_leaves_nothing_that_down_does_not_find() {
    Lab::run(|lab| async move {
        let place = place(&lab);
        for round in 0..24 {
            let mut child = launcher(&lab, &place);
            tokio::time::sleep(Duration::from_millis(4 * round)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            cluster::down(&place, false).await.unwrap();
            assert_nothing_left(&place).await;
            assert!(!place.data_dir().exists(), "round {round}");
        }
    });
}

#[test]
fn a_launcher_killed_at_any_moment_is_completed_by_the_next() {
    Lab::run(|lab| async move {
        let place = place(&lab);
        for round in 0..12 {
            let mut child = launcher(&lab, &place);
            tokio::time::sleep(Duration::from_millis(8 * round)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            let running = lab.up("data").await;
            assert!(pids(&place).iter().all(Option::is_some), "round {round}");
            running.end(false).await.unwrap();
            assert_nothing_left(&place).await;
        }
    });
}

#[test]
fn a_launcher_told_to_end_takes_everything_away_by_itself() {
    Lab::run(|lab| async move {
        let place = place(&lab);
        let mut child = launcher(&lab, &place);
        until("the cluster runs", || {
            cluster::status(&place)
                .is_ok_and(|status| status.roles.iter().all(|role| role.pid.is_some()))
        })
        .await;
        let held = kernel::Pidfd::open(child.id()).unwrap();
        until("it has ended", || {
            held.signal(Signal::SIGTERM).unwrap();
            child.try_wait().unwrap().is_some()
        })
        .await;
        cluster::down(&place, false).await.unwrap();
        assert_nothing_left(&place).await;
    });
}
