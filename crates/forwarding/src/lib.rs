//! Where a packet for a Service should go on this node: a [`Snapshot`] of plain services becomes a
//! [`ForwardingTable`], two tables become [`Change`]s, and [`decide`] says what happens to a packet.
//!
//! Nothing here does I/O or knows Kubernetes' types, nftables or BPF: a data plane walks the
//! finished table, and the proxy and the balancer make the snapshot.

mod decide;
mod diff;
mod maglev;
mod model;
mod planner;
mod policy;
mod snapshot;
mod table;

pub use decide::{Candidate, Packet, Verdict, decide};
pub use diff::{Change, diff};
pub use maglev::{Maglev, Member, RING_SIZE};
pub use model::{Family, Frontend, PortName, Protocol, ServiceName};
pub use planner::{Planner, build};
pub use policy::{EndpointSets, local_ready};
pub use snapshot::{Endpoint, Node, Service, ServicePort, Snapshot, TrafficPolicy};
pub use table::{
    Action, Delivery, ForwardingTable, FrontendKind, Masquerade, NodeRules, Route, Target,
};
