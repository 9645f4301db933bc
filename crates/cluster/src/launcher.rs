//! The launcher: makes what the plan says, starts or adopts the roles, and keeps them running. If it
//! is killed they go on; the next one finds them by their records.

mod gate;
mod readiness;
mod supervise;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::{Cgroup, Netlink, cgroup};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::data::{self, Lock};
use crate::error::Error;
use crate::host;
use crate::journal::Journal;
use crate::layout::{Layout, RoleSpec, SERVER};
use crate::network;
use crate::options::{Options, Settings};
use crate::place::Place;
use crate::state::{ProcessId, State};
use crate::teardown;

use gate::Gatekeeper;
use readiness::Readiness;
use supervise::{Report, Supervisor};

/// How many reports may wait for the launcher.
const REPORTS: usize = 64;

/// What happens on the way, to be shown.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Namespaces, LAN and routes are there.
    Network {
        /// How many namespaces.
        namespaces: usize,
        /// Since the start.
        after: Duration,
    },
    /// A role was started.
    Started {
        /// Its name.
        role: String,
    },
    /// A role of a launcher before us runs on.
    Adopted {
        /// Its name.
        role: String,
    },
    /// A role is ready.
    Ready {
        /// Its name.
        role: String,
        /// Since the start.
        after: Duration,
    },
    /// A role ended and will be started again.
    Ended {
        /// Its name.
        role: String,
        /// How, such as "exit status: 1".
        how: String,
    },
}

/// A cluster whose roles are looked after. Dropping it leaves them running; [`Running::end`] takes
/// everything away.
pub struct Running {
    place: Place,
    settings: Settings,
    layout: Arc<Layout>,
    supervisors: JoinSet<()>,
    stop: watch::Sender<bool>,
    gatekeeper: Gatekeeper,
    /// Held as long as the roles are looked after.
    _lock: Lock,
}

/// Starts a cluster, or adopts the one a killed launcher left, and returns when every role is ready.
/// `progress` is called on the way, and later whenever a role ends.
///
/// # Errors
/// See [`Error`]. What was made until then stays for `down`, or for the next attempt.
pub async fn up(
    options: Options,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Running, Error> {
    let settings = Settings::complete(&options)?;
    host::check_machine()?;
    let place = Place::of(&options.data_dir)?;
    data::make(&place)?;
    let lock = Lock::take_soon(&place).await?;
    let layout = Arc::new(Layout::plan(&place, &settings, &cgroup::unified_mount()?));
    let mut start = Start {
        place,
        settings,
        layout,
        program: options.program,
        progress: Arc::new(progress),
        began: Instant::now(),
    };
    start.go(lock).await
}

impl Running {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How it is laid out.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Ends every role and removes every trace; with `keep_data` the data directory stays, and the
    /// next `up` goes on from there.
    ///
    /// # Errors
    /// [`Error::LeftOver`]
    pub async fn end(mut self, keep_data: bool) -> Result<(), Error> {
        // Nobody listens when no supervisor is left.
        self.stop.send(true).ok();
        while self.supervisors.join_next().await.is_some() {}
        drop(self.gatekeeper);
        // Told to end by a `down`: that one knows whether the data stays.
        let keep_data = keep_data || self.place.down_marker().exists();
        teardown::undo(&self.place, keep_data).await
    }
}

type Show = Arc<dyn Fn(Progress) + Send + Sync>;

/// A start under way.
struct Start {
    place: Place,
    settings: Settings,
    layout: Arc<Layout>,
    program: PathBuf,
    progress: Show,
    began: Instant,
}

impl Start {
    async fn go(&mut self, lock: Lock) -> Result<Running, Error> {
        let (stop, stopped) = watch::channel(false);
        let (reports, inbox) = mpsc::channel(REPORTS);
        let mut supervisors = JoinSet::new();
        let gatekeeper = Gatekeeper::new();
        let supervisor = |role: &RoleSpec| Supervisor {
            gate: gatekeeper.gate(),
            place: self.place.clone(),
            program: self.program.clone(),
            layout: self.layout.clone(),
            role: role.clone(),
            reports: reports.clone(),
            stopped: stopped.clone(),
        };

        let here = Netlink::here()?;
        let lan = self.prepare(&here).await?;
        let (server, others): (Vec<_>, Vec<_>) = self
            .layout
            .roles
            .iter()
            .partition(|role| role.name == SERVER);
        for role in server {
            supervisors.spawn(supervisor(role).run());
        }
        let (_, ()) = tokio::try_join!(
            self.make_members(&lan),
            network::host(&lan, &here, &self.layout.host)
        )?;
        self.show(Progress::Network {
            namespaces: self.layout.members.len() + 1,
            after: self.began.elapsed(),
        });
        let mut readiness =
            Readiness::new(self.place.clone(), inbox, self.progress.clone(), self.began);
        readiness.of_kubeconfig().await?;
        for role in others {
            supervisors.spawn(supervisor(role).run());
        }
        readiness.of_all(&self.layout.roles).await?;
        self.write_state(true)?;
        supervisors.spawn(show_reports(
            readiness.done(),
            self.progress.clone(),
            stopped.clone(),
        ));
        Ok(Running {
            place: self.place.clone(),
            settings: self.settings.clone(),
            layout: self.layout.clone(),
            supervisors,
            stop,
            gatekeeper,
            _lock: lock,
        })
    }

    /// Everything before the first role: checks, folders, the journal, the LAN.
    async fn prepare(&self, here: &Netlink) -> Result<network::LanReady, Error> {
        let layout = &self.layout;
        network::loopback_up(here).await?;
        if network::is_mounted(&layout.lan.namespace) {
            self.check_same_settings()?;
        } else {
            // Whatever runs belongs to a network that is gone.
            Cgroup::at(&layout.cgroup).kill()?;
            here.delete_link(&layout.host.link).await?;
            host::check_ranges(here, &self.settings).await?;
            host::check_port(&self.settings)?;
            self.forget_kubeconfig()?;
        }
        for folder in ["netns", "ready", "roles", "stopped"] {
            data::make_folder(&self.place.run_dir().join(folder))?;
        }
        self.write_state(false)?;
        network::note(layout, &mut Journal::open(&self.place.journal())?)?;
        network::lan(&layout.lan).await
    }

    /// Makes the members; what ran in a namespace that had to be made anew has lost its network.
    async fn make_members(&self, lan: &network::LanReady) -> Result<(), Error> {
        let fresh = network::members(lan, &self.layout.members).await?;
        for name in fresh {
            Cgroup::at(&self.layout.cgroup.join(name)).kill()?;
        }
        Ok(())
    }

    fn check_same_settings(&self) -> Result<(), Error> {
        let Some(before) = State::read(&self.place.state()) else {
            return Ok(());
        };
        let options = self.settings.differences(&before.settings);
        if options.is_empty() {
            return Ok(());
        }
        Err(Error::OtherOptions {
            data_dir: self.place.data_dir().to_owned(),
            options,
        })
    }

    /// The nodes must not take one of another run, which may lead elsewhere.
    fn forget_kubeconfig(&self) -> Result<(), Error> {
        let path = self.place.cluster_kubeconfig();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn write_state(&self, ready: bool) -> Result<(), Error> {
        let state = State {
            data_dir: self.place.data_dir().to_owned(),
            settings: self.settings.clone(),
            launcher: ProcessId::of(std::process::id()),
            ready,
        };
        state.write(&self.place.state())
    }

    fn show(&self, progress: Progress) {
        (self.progress)(progress);
    }
}

/// Hands on what happens after the start.
async fn show_reports(
    mut inbox: mpsc::Receiver<Report>,
    progress: Show,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            report = inbox.recv() => match report {
                Some(report) => progress(report.progress),
                None => return,
            },
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}
