//! Running something inside a member: a node, the client, the balancer, the LAN itself.

use std::ffi::OsString;
use std::process::Command;

use kernel::command::CommandSteps;
use kernel::{Cgroup, NetNs};

use crate::error::Error;
use crate::layout::Layout;
use crate::place::Place;
use crate::state::State;

impl Place {
    /// A command that runs in the network of `member`: ready to be started, or to replace the calling
    /// process (`CommandExt::exec`). It joins the member's cgroup, so that `down` ends it too.
    ///
    /// # Errors
    /// [`Error::NoMember`] when there is none of this name, [`Error::NoCluster`] when nothing runs.
    pub fn command_in(&self, member: &str, argv: &[OsString]) -> Result<Command, Error> {
        let state = State::read(&self.state()).ok_or(Error::NoCluster)?;
        let layout = Layout::plan(self, &state.settings, &kernel::cgroup::unified_mount()?);
        let known: Vec<_> = layout.namespaces().map(str::to_owned).collect();
        let (Some((program, arguments)), true) =
            (argv.split_first(), known.iter().any(|name| name == member))
        else {
            return Err(Error::NoMember {
                name: member.to_owned(),
                known,
            });
        };
        let namespace = NetNs::open(&self.namespace(member))?;
        let group = Cgroup::at(&layout.cgroup.join(member).join("exec"));
        group.create()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .in_namespace(&namespace)
            .in_cgroup(&group)?;
        Ok(command)
    }
}
