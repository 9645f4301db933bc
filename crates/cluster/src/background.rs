//! `up --detach`: the launcher as a process of its own, which goes on when its starter has seen it
//! ready.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kernel::command::CommandSteps;

use crate::data;
use crate::error::Error;
use crate::place::Place;
use crate::role::log_tail;
use crate::state::State;

/// The launcher's name among the logs.
const LAUNCHER: &str = "up";
/// Between two looks whether it is ready.
const LOOK: Duration = Duration::from_millis(5);

/// Starts `program` with `arguments` (an `up` in the foreground for `place`) in a session of its own
/// and returns when its cluster is ready.
///
/// # Errors
/// [`Error::Role`] with the end of its log when it ends before that.
pub async fn detach(program: &Path, arguments: &[OsString], place: &Place) -> Result<(), Error> {
    data::make(place)?;
    let path = place.log(LAUNCHER);
    let log = File::create(&path).map_err(Error::file("open", &path))?;
    let errors = log.try_clone().map_err(Error::file("open", &path))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .in_own_session();
    let mut launcher = command.spawn().map_err(Error::file("start", program))?;
    loop {
        if is_ready(place, launcher.id()) {
            return Ok(());
        }
        if launcher
            .try_wait()
            .map_err(Error::file("watch", program))?
            .is_some()
        {
            return Err(Error::Role {
                role: LAUNCHER.to_owned(),
                tail: log_tail(&path),
                log: path,
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn is_ready(place: &Place, launcher: u32) -> bool {
    State::read(&place.state()).is_some_and(|state| {
        state.ready
            && state
                .launcher
                .is_some_and(|process| process.pid == launcher)
    })
}
