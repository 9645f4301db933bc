//! Commands that talk to the API like any other client.

pub(crate) mod apply;
pub(crate) mod connect;
pub(crate) mod delete;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod kinds;
pub(crate) mod logs;
pub(crate) mod manifest;
pub(crate) mod table;
