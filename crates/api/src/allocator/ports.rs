//! The range of node ports.

use std::fmt;
use std::ops::RangeInclusive;

use super::{lower_band, order};

/// The ports that Services may open on every node; health-check ports come from here too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    ports: RangeInclusive<u16>,
}

impl PortRange {
    /// These ports.
    pub fn new(ports: RangeInclusive<u16>) -> Self {
        Self { ports }
    }

    /// How many ports there are.
    pub fn size(&self) -> u64 {
        self.ports.len() as u64
    }

    /// How many of the first ones are left to people as long as possible.
    pub fn static_size(&self) -> u64 {
        lower_band(self.size(), 32, 128)
    }

    /// This number as a port of the range.
    pub fn port(&self, number: i64) -> Option<u16> {
        let port = u16::try_from(number).ok()?;
        self.ports.contains(&port).then_some(port)
    }

    /// The first free port from a random one on; `None` when all are taken.
    pub fn pick(&self, chance: u64, mut taken: impl FnMut(u16) -> bool) -> Option<u16> {
        let numbers = order(self.size(), self.static_size(), chance);
        let ports = numbers.filter_map(|offset| {
            let offset = u16::try_from(offset).ok()?;
            self.ports.start().checked_add(offset)
        });
        ports.into_iter().find(|port| !taken(*port))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ports.start(), self.ports.end())
    }
}
