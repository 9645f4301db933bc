//! The cases of the folder `cases/`, judged twice: by the oracle, and by packets through the real
//! kernel in namespaces of the test's own (root).
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

mod file;
mod kernel_judge;
mod lab;
mod oracle;
mod packet;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn the_oracle_agrees_with_every_case() {
    let wrong: Vec<String> = file::all().iter().flat_map(oracle::judge).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_kernel_agrees_with_every_case() {
    let only = std::env::var("CASE").unwrap_or_default();
    let mut cases = file::all();
    cases.retain(|case| case.path.display().to_string().contains(&only));
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    wrong.lock().unwrap().extend(kernel_judge::judge(case));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
