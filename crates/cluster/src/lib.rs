//! The launcher behind `fairway up` and `down`: lays out a cluster's namespaces, LAN and host routes
//! from a plan, keeps a journal of what it makes, starts the roles as child processes, starts them
//! again when they die, adopts them when it was itself killed, and takes everything away.
//!
//! It holds no truth of its own and does not know what the roles do: a role is a program's name, its
//! arguments, a namespace, a cgroup and a file that appears when it is ready.

mod argv;
mod background;
mod command;
mod data;
mod error;
mod host;
mod journal;
mod launcher;
mod layout;
mod network;
mod options;
mod place;
mod role;
mod state;
mod status;
mod stop;
mod sysctls;
mod teardown;

pub use background::detach;
pub use error::Error;
pub use launcher::{Progress, Running, up};
pub use layout::{Host, Lan, Layout, Member, RoleSpec};
pub use options::{Options, Settings};
pub use place::{Place, find};
pub use status::{RoleState, RoleStatus, Status, status};
pub use stop::{start_role, stop_role};
pub use teardown::down;
