//! A role's process: started, adopted, and started again when it ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kernel::command::CommandSteps;
use kernel::{Cgroup, Pidfd};

use crate::data::make_folder;
use crate::error::Error;
use crate::layout::RoleSpec;
use crate::place::Place;
use crate::state::{ProcessId, Record};

/// The wait before the second start in a row; it doubles from then on.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The longest wait between two starts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Who lived as long as this is started again at once when it ends.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// A log larger than this is put aside when its role starts.
const LARGEST_LOG: u64 = 10 << 20;

/// A process of a role.
pub(crate) struct Process {
    held: Pidfd,
    /// Ours, if we started it; an adopted one's status goes to its own parent.
    child: Option<Child>,
    record: Record,
    started: Instant,
}

/// How a role's process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Unknown for an adopted one.
    pub(crate) status: Option<ExitStatus>,
    /// How long it was watched.
    pub(crate) lived: Duration,
}

impl Process {
    /// The process that a launcher before us started, if it still runs.
    pub(crate) fn adopt(place: &Place, role: &RoleSpec) -> Option<Self> {
        let record = Record::read(&place.record(&role.name))?;
        let held = Pidfd::open(record.process.pid).ok()?;
        // Compared after opening: from here on the number cannot change hands unnoticed.
        record.process.runs().then(|| Self {
            held,
            child: None,
            record,
            started: Instant::now(),
        })
    }

    /// Starts a process. What is left of the one before ends first.
    pub(crate) fn start(
        place: &Place,
        program: &Path,
        role: &RoleSpec,
        restarts: u32,
    ) -> Result<Self, Error> {
        let leaf = Cgroup::at(&role.leaf());
        leaf.create()?;
        leaf.kill()?;
        for folder in &role.folders {
            make_folder(folder)?;
        }
        let absent = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(Error::file("remove", &role.ready_file)(error)),
        };
        std::fs::remove_file(&role.ready_file).or_else(absent)?;
        let child = spawn(program, role, &leaf)?;
        let failed = Error::file("watch", program);
        let held = Pidfd::open(child.id()).map_err(failed)?;
        // A child that ended already is a zombie of ours, so its number is still its own.
        let process = ProcessId::of(child.id()).unwrap_or(ProcessId::ended(child.id()));
        let record = Record { process, restarts };
        record.write(&place.record(&role.name))?;
        Ok(Self {
            held,
            child: Some(child),
            record,
            started: Instant::now(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.held.pid()
    }

    pub(crate) fn restarts(&self) -> u32 {
        self.record.restarts
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> End {
        if let Err(error) = self.held.ended().await {
            tracing::warn!(pid = self.pid(), %error, "cannot watch a role; looking now and then");
            while !self.held.has_ended() {
                tokio::time::sleep(FIRST_WAIT).await;
            }
        }
        let status = self.child.as_mut().and_then(|child| child.wait().ok());
        End {
            status,
            lived: self.started.elapsed(),
        }
    }
}

/// How long to wait before the next start, given the wait before this one and how long it lived.
pub(crate) fn next_wait(wait: Duration, lived: Duration) -> Duration {
    if lived >= LONG_LIFE {
        Duration::ZERO
    } else {
        (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT)
    }
}

/// The last lines of a role's log, for an error text.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text
        .lines()
        .rev()
        .take(8)
        .map(|line| format!("  {line}"))
        .collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn spawn(program: &Path, role: &RoleSpec, leaf: &Cgroup) -> Result<Child, Error> {
    let log = open_log(&role.log)?;
    let errors = log.try_clone().map_err(Error::file("open", &role.log))?;
    let mut command = Command::new(program);
    command
        .args(&role.arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    command.in_own_session().in_cgroup(leaf)?;
    command.spawn().map_err(Error::file("start", program))
}

fn open_log(path: &Path) -> Result<File, Error> {
    if path
        .metadata()
        .is_ok_and(|metadata| metadata.len() > LARGEST_LOG)
    {
        std::fs::rename(path, with_suffix(path)).map_err(Error::file("rename", path))?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::file("open", path))
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_a_long_life_starts_over() {
        let short = Duration::from_millis(1);
        let mut waits = vec![Duration::ZERO];
        for _ in 0..12 {
            waits.push(next_wait(*waits.last().unwrap(), short));
        }
        assert_eq!(waits[1], FIRST_WAIT);
        assert_eq!(waits[3], FIRST_WAIT * 4);
        assert_eq!(waits[12], LONGEST_WAIT);
        assert_eq!(next_wait(LONGEST_WAIT, LONG_LIFE), Duration::ZERO);
    }
}
