//! Stopping one role for good, as a machine that fails would: its processes are killed, and with a
//! member its namespace ends too. The launcher leaves it alone until it is to start again.

use kernel::{Cgroup, NetNs, Netlink};

use crate::error::Error;
use crate::layout::{LAN, Layout};
use crate::place::Place;
use crate::state::State;

/// Kills a role, with its pods and its namespace if it is a node, and keeps it down.
///
/// # Errors
/// [`Error::NoMember`] when there is no such role.
pub async fn stop_role(place: &Place, name: &str) -> Result<(), Error> {
    let layout = layout(place, name)?;
    let marker = place.stopped(name);
    std::fs::write(&marker, "").map_err(Error::file("write", marker))?;
    let group = Cgroup::at(&layout.cgroup.join(name));
    let killed = tokio::task::spawn_blocking(move || group.kill());
    killed
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    if let Some(member) = layout.member(name) {
        let lan = Netlink::in_namespace(&NetNs::open(&place.namespace(LAN))?)?;
        lan.delete_link(&member.port).await?;
        NetNs::delete(&member.namespace)?;
    }
    Ok(())
}

/// Lets a stopped role start again; the launcher does it at once.
///
/// # Errors
/// [`Error::NoMember`] when there is no such role.
pub fn start_role(place: &Place, name: &str) -> Result<(), Error> {
    layout(place, name)?;
    let marker = place.stopped(name);
    match std::fs::remove_file(&marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", marker)(error))
        }
        _ => Ok(()),
    }
}

fn layout(place: &Place, role: &str) -> Result<Layout, Error> {
    let state = State::read(&place.state()).ok_or(Error::NoCluster)?;
    let layout = Layout::plan(place, &state.settings, &kernel::cgroup::unified_mount()?);
    if layout.roles.iter().any(|other| other.name == role) {
        return Ok(layout);
    }
    Err(Error::NoMember {
        name: role.to_owned(),
        known: layout.roles.iter().map(|role| role.name.clone()).collect(),
    })
}
