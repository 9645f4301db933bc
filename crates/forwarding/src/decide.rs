//! The oracle: what happens to a packet, said slowly and plainly. Every data plane must agree.

use crate::model::{Frontend, Protocol};
use crate::table::{Action, Delivery, ForwardingTable, Masquerade, Target};
use ipnet::IpNet;
use std::net::IpAddr;

/// The first packet of a connection, as it enters the node or leaves one of its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Its source address.
    pub source: IpAddr,
    /// Its destination address.
    pub destination: IpAddr,
    /// Protocol and destination port; `None` for what has none, such as a ping.
    pub port: Option<(Protocol, u16)>,
}

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to one of these.
    Deliver {
        /// Each is as likely as the other.
        candidates: Vec<Candidate>,
        /// Its source becomes the node's address, whichever candidate is chosen.
        masquerade: bool,
        /// Seconds for which the client's further connections go to the same candidate.
        affinity: Option<u32>,
    },
    /// It vanishes.
    Drop,
    /// The client is told that nobody listens.
    Reject,
    /// It is no business of Services.
    Pass,
}

/// An endpoint that the packet may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The endpoint.
    pub target: Target,
    /// The endpoint is the client itself: the source becomes the node's address even if the
    /// verdict does not say so, else the answer would not pass through the node.
    pub hairpin: bool,
}

/// What happens to a packet under a table.
pub fn decide(table: &ForwardingTable, packet: &Packet) -> Verdict {
    let frontend = packet
        .port
        .map(|(protocol, port)| Frontend::new(packet.destination, protocol, port));
    let Some(route) = frontend.and_then(|frontend| table.frontends.get(&frontend)) else {
        return not_a_frontend(table, packet);
    };
    if !route
        .source_ranges
        .as_ref()
        .is_none_or(|ranges| holds(ranges, packet.source))
    {
        return Verdict::Drop;
    }
    match &route.action {
        Action::Reject => Verdict::Reject,
        Action::Drop => Verdict::Drop,
        Action::Deliver(delivery) => deliver(table, delivery, packet.source),
    }
}

fn not_a_frontend(table: &ForwardingTable, packet: &Packet) -> Verdict {
    if table.cluster_ips.contains(&packet.destination) {
        Verdict::Reject
    } else if holds(&table.node.service_cidrs, packet.destination) {
        Verdict::Drop
    } else {
        Verdict::Pass
    }
}

fn deliver(table: &ForwardingTable, delivery: &Delivery, source: IpAddr) -> Verdict {
    let is_pod = holds(&table.node.local_cidrs, source);
    let is_node = table.node.local_addresses.contains(&source);
    let is_outsider = !is_pod && !is_node;
    let (targets, masquerade) = match &delivery.outsiders {
        Some(outsiders) if is_outsider => (outsiders, false),
        _ => (&delivery.targets, masquerades(delivery.masquerade, is_pod)),
    };
    if targets.is_empty() {
        return Verdict::Drop;
    }
    let candidate = |target: &Target| Candidate {
        target: *target,
        hairpin: target.address == source,
    };
    Verdict::Deliver {
        candidates: targets.iter().map(candidate).collect(),
        masquerade,
        affinity: delivery.affinity_seconds,
    }
}

fn masquerades(masquerade: Masquerade, is_pod: bool) -> bool {
    match masquerade {
        Masquerade::Never => false,
        Masquerade::Always => true,
        Masquerade::UnlessLocal => !is_pod,
    }
}

fn holds(cidrs: &[IpNet], address: IpAddr) -> bool {
    cidrs.iter().any(|cidr| cidr.contains(&address))
}
