//! Judges by packets: the case's table goes into a real kernel, its packets through it.

use super::file::{Case, Delivered, Expected, Line, number};
use super::lab::Lab;
use super::packet::Arrived;
use dataplane::{Dataplane, Nftables};
use forwarding::{ForwardingTable, Packet, build, diff};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// Everything in which the kernel disagrees with a case.
pub(crate) fn judge(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut stage: Option<Stage> = None;
    for step in &case.steps {
        let table = build(&step.snapshot);
        let mut now = match stage.take() {
            Some(stage) if stage.node_number == step.node_number => stage.change(table),
            _ => Stage::new(step.node_number, &step.snapshot.node, table),
        };
        for line in &step.packets {
            if let Err(reason) = now.ask(line, &step.snapshot.node.local_addresses) {
                wrong.push(format!(
                    "{}: {}\n    {reason}",
                    case.path.display(),
                    line.text
                ));
            }
        }
        stage = Some(now);
    }
    wrong
}

/// What is to come takes a millisecond, and is waited for this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a burst is sent that is to be refused.
const BURSTS: u32 = 10;
/// What is not to come.
const SILENCE: Duration = Duration::from_millis(120);

/// A node with a data plane, as long as it lives.
struct Stage {
    node_number: usize,
    lab: Lab,
    dataplane: Nftables,
    table: ForwardingTable,
    /// Where lines that were given a name went, by family.
    named: HashMap<(String, bool), SocketAddr>,
}

impl Stage {
    fn new(node_number: usize, node: &forwarding::Node, table: ForwardingTable) -> Self {
        let lab = Lab::new(node, number(&node.name));
        let adopt = || {
            let mut dataplane = Nftables::open().unwrap();
            dataplane.adopt(&table).unwrap();
            dataplane
        };
        let dataplane = lab.node.run(adopt).unwrap();
        Self {
            node_number,
            lab,
            dataplane,
            table,
            named: HashMap::new(),
        }
    }

    /// Tells the data plane only what changed.
    fn change(mut self, table: ForwardingTable) -> Self {
        let changes = diff(&self.table, &table);
        let dataplane = &mut self.dataplane;
        self.lab
            .node
            .run(|| dataplane.apply(&changes).unwrap())
            .unwrap();
        self.table = table;
        self
    }

    fn ask(&mut self, line: &Line, node: &[std::net::IpAddr]) -> Result<(), String> {
        let count = match &line.expected {
            Expected::To(delivered) => 24 * u32::try_from(delivered.candidates.len()).unwrap(),
            _ => 3,
        };
        let arrived = match &line.expected {
            Expected::Drop => self.lab.send(&line.packet, count, SILENCE),
            Expected::Reject => self.refusals(&line.packet, count),
            _ => self.lab.send(&line.packet, count, PATIENCE),
        };
        match &line.expected {
            Expected::To(delivered) => {
                let seen = Seen::of(&arrived, count)?;
                seen.check(&line.packet, delivered, node)?;
                self.check_name(&seen, delivered)
            }
            Expected::Drop if arrived.is_empty() => Ok(()),
            Expected::Reject if is_refused(&arrived, count) => Ok(()),
            Expected::Pass if is_passed(&arrived, count, &line.packet) => Ok(()),
            _ => Err(format!("of {count} packets came out: {arrived:?}")),
        }
    }

    /// What comes of a burst that is to be refused. The kernel limits its ICMP errors, so fewer than asked for are
    /// asked for again.
    fn refusals(&mut self, packet: &Packet, count: u32) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        for _ in 0..BURSTS {
            arrived = self.lab.send(packet, count, PATIENCE / BURSTS);
            if arrived.len() == count as usize {
                break;
            }
        }
        arrived
    }

    fn check_name(&mut self, seen: &Seen, delivered: &Delivered) -> Result<(), String> {
        let Some(name) = &delivered.name else {
            return Ok(());
        };
        let target = *seen.destinations().first().ok_or("nothing came out")?;
        let former = *self
            .named
            .entry((name.clone(), target.is_ipv6()))
            .or_insert(target);
        if former == target {
            Ok(())
        } else {
            Err(format!("went to {target}, not to {former}"))
        }
    }
}

/// The packets of a burst that came out, by source and destination.
struct Seen {
    ours: Vec<(SocketAddr, SocketAddr)>,
}

impl Seen {
    fn of(arrived: &[Arrived], count: u32) -> Result<Self, String> {
        let ours = arrived.iter().filter_map(|arrived| match arrived {
            Arrived::Ours {
                source,
                destination,
                ..
            } => Some((*source, *destination)),
            Arrived::Refusal { .. } => None,
        });
        let ours: Vec<_> = ours.collect();
        if ours.len() == count as usize && arrived.len() == ours.len() {
            return Ok(Self { ours });
        }
        let first = arrived.first();
        Err(format!(
            "of {count} packets {} came out, the first as {first:?}",
            ours.len()
        ))
    }

    fn destinations(&self) -> BTreeSet<SocketAddr> {
        self.ours
            .iter()
            .map(|(_, destination)| *destination)
            .collect()
    }

    fn check(
        &self,
        packet: &Packet,
        delivered: &Delivered,
        node: &[std::net::IpAddr],
    ) -> Result<(), String> {
        let (met, expected) = (self.destinations(), &delivered.candidates);
        let right = match delivered.sticky {
            None => met.iter().eq(expected.iter()),
            Some(_) => met.len() == 1 && met.iter().all(|target| expected.contains(target)),
        };
        if !right {
            return Err(format!("went to {met:?}"));
        }
        for (source, destination) in &self.ours {
            let itself = delivered.hairpin && destination.ip() == packet.source;
            let from_node = node.contains(&source.ip()) && source.ip() != packet.source;
            let kept = source.ip() == packet.source;
            // The node's own packets have its address with or without masquerade.
            let own = node.contains(&packet.source) && kept;
            let good = match delivered.masqueraded || itself {
                true => from_node || own,
                false => kept,
            };
            if !good {
                return Err(format!("reached {destination} from {source}"));
            }
        }
        Ok(())
    }
}

fn is_refused(arrived: &[Arrived], count: u32) -> bool {
    arrived.len() == count as usize
        && arrived
            .iter()
            .all(|arrived| matches!(arrived, Arrived::Refusal { .. }))
}

fn is_passed(arrived: &[Arrived], count: u32, packet: &Packet) -> bool {
    arrived.len() == count as usize
        && arrived.iter().all(|arrived| match arrived {
            Arrived::Ours {
                source,
                destination,
                ..
            } => {
                source.ip() == packet.source
                    && destination.ip() == packet.destination
                    && packet
                        .port
                        .is_none_or(|(_, port)| destination.port() == port)
            }
            Arrived::Refusal { .. } => false,
        })
}
