//! A process that writes is killed at a random moment, again and again, on one file.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use store::{Embedded, Options};

use crate::chance::Chance;
use crate::workload::{self, Acknowledged};

const ROUNDS: usize = 200;
const FILE: &str = "FAIRWAY_CRASH_TEST_FILE";
/// Little is kept, so that kills meet compaction too.
const OPTIONS: Options = Options {
    keep_revisions: 400,
    cache_bytes: 4 << 20,
};

#[test]
fn killed_200_times_no_acknowledged_write_is_lost_and_none_is_half_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.redb");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut chance = Chance::new();
    let mut total = 0;
    for _ in 0..ROUNDS {
        let acknowledged = write_and_die(&file, &mut chance);
        total += acknowledged.len();
        runtime.block_on(async {
            let store = Embedded::open_with(&file, OPTIONS).unwrap();
            workload::check(&store, &acknowledged).await;
            store.close().await;
        });
    }
    assert!(
        total > ROUNDS * 10,
        "only {total} writes in {ROUNDS} rounds"
    );
}

/// What the writer acknowledged before it was killed, which is after a random number of writes and a
/// random moment.
fn write_and_die(file: &Path, chance: &mut Chance) -> Vec<Acknowledged> {
    let mut child = Killed(start(file));
    let output = BufReader::new(child.0.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    let first: Vec<_> = lines.by_ref().take(chance.below(150)).collect();
    std::thread::sleep(Duration::from_micros(chance.below(3000) as u64));
    child.0.kill().unwrap();
    let rest: Vec<_> = lines.collect();
    let lines = first.iter().chain(&rest);
    lines.filter_map(|line| line.parse().ok()).collect()
}

/// This test binary again, as the process that [`writes_until_it_is_killed`].
fn start(file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends the child even when a check fails first.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "the crash test starts it, in a process of its own"]
fn writes_until_it_is_killed() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Embedded::open_with(file, OPTIONS).unwrap();
        workload::write(&store, |acknowledged| {
            // One write, so that a line is whole. It fails when the parent is gone, and this ends.
            let line = format!("{acknowledged}\n");
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        })
        .await;
    });
}
