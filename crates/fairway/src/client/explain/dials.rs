//! What the objects cannot tell: whether something listens where the endpoints say. In a cluster of this
//! machine each endpoint is dialled, from inside its node.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cluster::Place;
use k8s_openapi::api::core::v1::ServicePort;
use kernel::NetNs;

use super::facts::{Endpoint, Facts};

/// How long a pod may take to accept.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of very many endpoints the first ones tell enough.
const MOST: usize = 32;

/// What came of dialling one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nobody listens.
    Refused,
    /// Nothing came back.
    Silent,
}

/// An endpoint that does not accept.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) address: String,
    pub(super) port: i32,
    pub(super) outcome: Outcome,
}

/// Dials the ready TCP endpoints of every port, all at once; those that failed. Blocks.
pub(super) fn failed(place: &Place, facts: &Facts) -> Vec<Failed> {
    let ports = facts.spec().ports.unwrap_or_default();
    let tcp = ports.iter().filter(|port| is_tcp(port));
    let endpoints = tcp
        .flat_map(|port| facts.endpoints(port))
        .filter(|endpoint| endpoint.ready);
    let endpoints: Vec<Endpoint> = endpoints.take(MOST).collect();
    std::thread::scope(|scope| {
        let dials = endpoints
            .iter()
            .map(|endpoint| scope.spawn(|| dial(place, endpoint)));
        let dials: Vec<_> = dials.collect();
        dials
            .into_iter()
            .filter_map(|dial| dial.join().ok().flatten())
            .collect()
    })
}

fn is_tcp(port: &ServicePort) -> bool {
    port.protocol.as_deref().unwrap_or("TCP") == "TCP"
}

/// `None`: it accepts, or it cannot be dialled from here.
fn dial(place: &Place, endpoint: &Endpoint) -> Option<Failed> {
    let address: IpAddr = endpoint.address.parse().ok()?;
    let address = SocketAddr::new(address, u16::try_from(endpoint.port).ok()?);
    // What runs on no node is reached from the first one as well as from any.
    let node = if endpoint.node.is_empty() {
        "node-1"
    } else {
        &endpoint.node
    };
    let namespace = NetNs::open(&place.namespace(node)).ok()?;
    let error = match kernel::socket::connect_tcp_in(&namespace, address, PATIENCE) {
        Err(kernel::socket::SocketError::Connect { source, .. }) => source,
        _ => return None,
    };
    let outcome = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Outcome::Refused,
        _ => Outcome::Silent,
    };
    Some(Failed {
        address: endpoint.address.clone(),
        port: endpoint.port,
        outcome,
    })
}
