//! Commands that start, end and look into a standalone cluster.

pub(crate) mod down;
pub(crate) mod exec;
pub(crate) mod image;
mod kubeconfig;
pub(crate) mod status;
pub(crate) mod up;
