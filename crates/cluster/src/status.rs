//! What runs of a cluster, read from what it wrote down and from the process table.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::error::Error;
use crate::layout::Layout;
use crate::options::Settings;
use crate::place::Place;
use crate::state::{ProcessId, Record, State};

/// A cluster as it is now.
#[derive(Clone, Debug)]
pub struct Status {
    /// Eight hexadecimal digits.
    pub id: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// The launcher's process; `None`: it was killed, and roles that end stay so until the next `up`.
    pub launcher: Option<u32>,
    /// What it was asked to be.
    pub settings: Settings,
    /// Its roles, the API server first.
    pub roles: Vec<RoleStatus>,
}

/// A role as it is now.
#[derive(Clone, Debug)]
pub struct RoleStatus {
    /// `server`, `balancer`, `node-1` …
    pub name: String,
    /// What it does.
    pub state: RoleState,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Its addresses on the LAN (the API server's second listeners).
    pub addresses: Vec<IpAddr>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// What a role does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleState {
    /// It is ready.
    Ready,
    /// It runs and is not ready yet.
    Starting,
    /// It was stopped on purpose.
    Stopped,
    /// It does not run.
    Down,
}

/// Looks at the cluster of `place`.
///
/// # Errors
/// [`Error::NoCluster`] when there is none.
pub fn status(place: &Place) -> Result<Status, Error> {
    let state = State::read(&place.state()).ok_or(Error::NoCluster)?;
    let layout = Layout::plan(place, &state.settings, &kernel::cgroup::unified_mount()?);
    let lan: Vec<IpAddr> = layout
        .lan
        .addresses
        .iter()
        .map(ipnet::IpNet::addr)
        .collect();
    let roles = layout.roles.iter().map(|role| {
        let member = layout.member(&role.name);
        let addresses =
            member.map(|member| member.addresses.iter().map(ipnet::IpNet::addr).collect());
        let record = Record::read(&place.record(&role.name));
        let runs = record.filter(|record| record.process.runs());
        RoleStatus {
            state: role_state(place, &role.name, runs.is_some()),
            name: role.name.clone(),
            pid: runs.map(|record| record.process.pid),
            restarts: record.map_or(0, |record| record.restarts),
            addresses: addresses.unwrap_or_else(|| lan.clone()),
            log: role.log.clone(),
        }
    });
    Ok(Status {
        id: place.id().to_owned(),
        data_dir: place.data_dir().to_owned(),
        launcher: state
            .launcher
            .filter(ProcessId::runs)
            .map(|launcher| launcher.pid),
        roles: roles.collect(),
        settings: state.settings,
    })
}

fn role_state(place: &Place, name: &str, runs: bool) -> RoleState {
    match runs {
        _ if place.stopped(name).exists() => RoleState::Stopped,
        true if place.ready_file(name).exists() => RoleState::Ready,
        true => RoleState::Starting,
        false => RoleState::Down,
    }
}
