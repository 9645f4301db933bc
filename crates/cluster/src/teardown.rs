//! Taking everything away: from the journal, and from the names that follow from the data
//! directory, so that it also works when the run directory, or every process, is gone. Nothing
//! here needs a living process, each step is fine with "not there", and no failure stops the rest.

use std::path::Path;
use std::time::{Duration, Instant};

use kernel::{Cgroup, NetNs, Netlink, Pidfd, cgroup, mount};
use nix::sys::signal::Signal;

use crate::data::{self, Lock};
use crate::error::Error;
use crate::journal::{self, Thing};
use crate::layout::SERVER;
use crate::place::Place;
use crate::state::State;

/// How long the launcher may take to end by itself.
const LAUNCHER_GRACE: Duration = Duration::from_secs(15);
/// How long the API server may take to close its store.
const SERVER_GRACE: Duration = Duration::from_secs(3);
/// Between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(10);

/// Ends the cluster of `place`, whoever started it, and removes every trace. Unless `keep_data`,
/// what Fairway made in the data directory goes too.
///
/// # Errors
/// [`Error::NoCluster`] when there was nothing; [`Error::LeftOver`] with all that could not be removed.
pub async fn down(place: &Place, keep_data: bool) -> Result<(), Error> {
    if !kernel::process::is_root() {
        return Err(Error::Host(vec![
            "down must be started by root (sudo fairway down)".to_owned(),
        ]));
    }
    let _lock = take_over(place).await?;
    undo(place, keep_data).await
}

/// Takes everything away, without asking whether somebody still looks after it.
pub(crate) async fn undo(place: &Place, keep_data: bool) -> Result<(), Error> {
    let mut problems = Vec::new();
    let netlink = Netlink::here()?;
    let (owned, journal) = (
        place.clone(),
        journal::read(&place.journal()).unwrap_or_default(),
    );
    let things = journal.clone();
    let ended = tokio::task::spawn_blocking(move || end_processes(&owned, &things, keep_data));
    problems.extend(
        ended
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())),
    );

    let named = journal.iter().filter_map(|thing| match thing {
        Thing::Link(name) => Some(name.clone()),
        _ => None,
    });
    for link in named.chain([place.host_link()]) {
        if let Err(error) = netlink.delete_link(&link).await {
            problems.push(error.to_string());
        }
    }
    let owned = place.clone();
    let removed = tokio::task::spawn_blocking(move || remove_files(&owned, &journal, keep_data));
    problems.extend(
        removed
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())),
    );
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::LeftOver(problems))
    }
}

/// Asks the launcher to end and takes its lock. `None`: there is no data directory to lock.
async fn take_over(place: &Place) -> Result<Option<Lock>, Error> {
    if !place.data_dir().exists() {
        return Ok(None);
    }
    let began = Instant::now();
    let mut signal = Signal::SIGTERM;
    loop {
        if let Some(lock) = Lock::take(place)? {
            return Ok(Some(lock));
        }
        if signal_due(began, signal) {
            end_launcher(place, signal)?;
            signal = Signal::SIGKILL;
        }
        if began.elapsed() > LAUNCHER_GRACE * 2 {
            return Err(Error::Running(place.data_dir().to_owned()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends the launcher a signal. The calling process is none, even if it was a moment ago.
fn end_launcher(place: &Place, signal: Signal) -> Result<(), Error> {
    let launcher = State::read(&place.state()).and_then(|state| state.launcher);
    let Some(launcher) = launcher.filter(|launcher| launcher.pid != std::process::id()) else {
        return Ok(());
    };
    let failed = |error| Error::file("end the launcher of", place.data_dir())(error);
    match Pidfd::open(launcher.pid) {
        Ok(held) if launcher.runs() => {
            std::fs::write(place.down_marker(), "").map_err(failed)?;
            held.signal(signal).map_err(failed)
        }
        _ => Ok(()),
    }
}

/// SIGTERM at once, SIGKILL when the grace is over.
fn signal_due(began: Instant, signal: Signal) -> bool {
    signal == Signal::SIGTERM || began.elapsed() > LAUNCHER_GRACE
}

/// Kills every process of the cluster and removes its cgroups, in every hierarchy: a container
/// runtime makes some of version 1 on a hybrid machine.
fn end_processes(place: &Place, journal: &[Thing], keep_data: bool) -> Vec<String> {
    let mut groups: Vec<_> = cgroup::all_mounts()
        .iter()
        .map(|mount| mount.join(place.cgroup_name()))
        .collect();
    groups.extend(journal.iter().filter_map(|thing| match thing {
        Thing::Cgroup(path) => Some(path.clone()),
        _ => None,
    }));
    let groups: Vec<_> = groups
        .iter()
        .map(|path| Cgroup::at(path))
        .filter(Cgroup::exists)
        .collect();
    if keep_data {
        groups
            .iter()
            .for_each(|group| end_gently(&group.child(SERVER)));
    }
    let mut problems = Vec::new();
    for outcome in groups
        .iter()
        .map(Cgroup::kill)
        .chain(groups.iter().map(Cgroup::remove))
    {
        if let Err(error) = outcome {
            problems.push(error.to_string());
        }
    }
    problems
}

/// Lets the API server end its watches and close its store.
fn end_gently(group: &Cgroup) {
    let held: Vec<_> = group
        .processes()
        .into_iter()
        .filter_map(|pid| Pidfd::open(pid).ok())
        .collect();
    for process in &held {
        // What does not heed it is killed afterwards.
        process.signal(Signal::SIGTERM).ok();
    }
    for process in &held {
        process.wait(SERVER_GRACE).ok();
    }
}

/// Removes namespaces, other mounts and files.
fn remove_files(place: &Place, journal: &[Thing], keep_data: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let run_dir = place.run_dir();
    for thing in journal.iter().rev() {
        if let Thing::Namespace(path) = thing
            && let Err(error) = NetNs::delete(path)
        {
            problems.push(error.to_string());
        }
    }
    for folder in [run_dir.as_path(), place.data_dir()] {
        unmount_below(folder, &mut problems);
    }
    data::remove_all(&run_dir, &mut problems);
    if let Some(parent) = run_dir.parent() {
        // Other clusters keep it.
        std::fs::remove_dir(parent).ok();
    }
    if !keep_data {
        data::remove(place.data_dir(), &mut problems);
    }
    problems
}

/// Takes away what is mounted below a folder, and not at it: the folder itself may be a mount of
/// the administrator's.
fn unmount_below(folder: &Path, problems: &mut Vec<String>) {
    for point in mount::below(folder).unwrap_or_default() {
        if point == folder {
            continue;
        }
        if let Err(error) = mount::unmount(&point) {
            problems.push(format!("cannot unmount {}: {error}", point.display()));
        }
    }
}
