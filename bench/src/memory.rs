//! Memory as the kernel shares it out: the proportional set size, where a page that many processes share
//! counts once in all.

use std::collections::BTreeMap;
use std::path::Path;

use e2e::Product;

/// What one process has, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Its share of all its pages.
    pub total: u64,
    /// Of these, what no file is behind: heap and stacks.
    pub anonymous: u64,
    /// How many threads it has.
    pub threads: u64,
}

impl std::ops::AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.anonymous += other.anonymous;
        self.threads += other.threads;
    }
}

/// A cluster's processes by what they are, with their number and their memory together.
#[must_use]
pub fn of(product: &Product<'_>) -> BTreeMap<String, (usize, Memory)> {
    let mut found: BTreeMap<String, (usize, Memory)> = BTreeMap::new();
    for pid in product.processes() {
        let Some(memory) = of_process(pid) else {
            continue;
        };
        let (number, sum) = found.entry(kind(product, pid)).or_default();
        *number += 1;
        *sum += memory;
    }
    found
}

/// The role it was told to be, or the program it is.
fn kind(product: &Product<'_>, pid: u32) -> String {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split('\0');
    let program = words.next().unwrap_or_default();
    let ours = Path::new(program) == product.program() || program == "/proc/self/exe";
    match (ours, words.next()) {
        (true, Some(role)) => format!("fairway {role}"),
        _ => {
            let name = Path::new(program).file_name().unwrap_or_default();
            format!("in a pod: {}", name.to_string_lossy())
        }
    }
}

/// `None`: it has ended.
fn of_process(pid: u32) -> Option<Memory> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").trim().parse().ok()
    };
    Some(Memory {
        total: field("Pss:")?,
        anonymous: field("Pss_Anon:")?,
        threads: std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.count() as u64,
    })
}
