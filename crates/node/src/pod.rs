//! What a pod means on its node, as pure functions: from the object and what was observed to the next
//! actions ([`plan`]), to the status ([`status`]) and to a container's environment ([`environment`]).

pub(crate) mod backoff;
pub(crate) mod conditions;
pub(crate) mod containers;
pub(crate) mod environment;
pub(crate) mod etc;
pub(crate) mod expand;
pub(crate) mod fields;
pub(crate) mod observed;
pub(crate) mod plan;
pub(crate) mod service_links;
pub(crate) mod signal;
pub(crate) mod spec;
pub(crate) mod status;
