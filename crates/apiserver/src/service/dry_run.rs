//! The pools of a dry run: they show what would be filled in, and hold nothing.
//!
//! As upstream they are less strict than the real ones: an address need only lie in a range, a port need
//! only be free. Picked addresses are the range's network address, picked ports count up from 32769.

use std::net::IpAddr;

use api::service::allocation::{AddressRefused, Pools};
use api::service::families::Family;
use api::validation::ip;
use serde_json::Value;

use super::books::View;

/// Where picked ports start, as upstream has it.
const BEFORE_FIRST: i64 = 32_768;

/// Pools that only pretend.
pub(super) struct DryRun {
    view: View,
    ports: Vec<i64>,
}

impl DryRun {
    pub(super) fn new(view: View) -> Self {
        Self {
            view,
            ports: Vec::new(),
        }
    }
}

impl Pools for DryRun {
    fn families(&self) -> &[Family] {
        &self.view.families
    }

    fn take_address(&mut self, _service: &Value, address: &str) -> Result<(), AddressRefused> {
        let because = |text: String| Err(AddressRefused::Because(text));
        let Some(address) = ip::parse_sloppy(address) else {
            return because("failed to parse service IP".to_owned());
        };
        let family = match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        match self.view.ranges.for_dry_run(family, Some(address)) {
            Some((range, true)) if range.contains(address) => Ok(()),
            Some((range, true)) => because(format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}",
                range.net()
            )),
            _ => because("allocator not ready".to_owned()),
        }
    }

    fn pick_address(&mut self, _service: &Value, family: Family) -> Result<String, AddressRefused> {
        match self.view.ranges.for_dry_run(family, None) {
            Some((range, true)) => Ok(range.net().network().to_string()),
            _ => Err(AddressRefused::Because("allocator not ready".to_owned())),
        }
    }

    fn release_address(&mut self, _address: &str) {}

    fn take_port(&mut self, port: i64) -> Result<(), String> {
        if self.view.taken_ports.contains(&port) || self.ports.contains(&port) {
            return Err("provided port is already allocated".to_owned());
        }
        self.ports.push(port);
        Ok(())
    }

    fn pick_port(&mut self) -> Result<i64, String> {
        let last = self.ports.iter().copied().max();
        let port = last.unwrap_or(BEFORE_FIRST) + 1;
        self.ports.push(port);
        Ok(port)
    }

    fn release_port(&mut self, _port: i64) {}
}
