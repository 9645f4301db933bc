//! What a write of a Service takes from the pools of addresses and ports, and what it gives back.
//!
//! [`create`], [`update`] and [`removed`] walk the Service in Kubernetes' order and ask [`Pools`] for each
//! thing; the first refusal ends the write. The API server's pools remember what was taken and given back,
//! and put it into the Service's transaction; those of a dry run only pretend.

mod addresses;
mod ports;

use serde_json::Value;

use super::families::{self, Family};
use super::spec::Spec;
use super::transitions;
use crate::field::{Path, Problem, Problems};
use crate::status::Status;
use crate::validation::json::text;

/// What addresses and ports are taken from, and given back to when the write is stored.
pub trait Pools {
    /// The families of the cluster, the default one first.
    fn families(&self) -> &[Family];

    /// Takes this address for the Service.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn take_address(&mut self, service: &Value, address: &str) -> Result<(), AddressRefused>;

    /// Picks an address for the Service.
    ///
    /// # Errors
    /// Why there is none.
    fn pick_address(&mut self, service: &Value, family: Family) -> Result<String, AddressRefused>;

    /// Gives an address back.
    fn release_address(&mut self, address: &str);

    /// Takes this port.
    ///
    /// # Errors
    /// The text of why it cannot be had.
    fn take_port(&mut self, port: i64) -> Result<(), String>;

    /// Picks a port.
    ///
    /// # Errors
    /// The text of why there is none.
    fn pick_port(&mut self) -> Result<i64, String>;

    /// Gives a port back.
    fn release_port(&mut self, port: i64);
}

/// Why an address cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressRefused {
    /// All ranges of the family are used up.
    Full,
    /// Any other reason, in words.
    Because(String),
}

/// Takes everything a new Service needs and fills it in.
///
/// # Errors
/// What the client is told.
pub fn create(service: &mut Value, pools: &mut dyn Pools) -> Result<(), Status> {
    transitions::align_cluster_ips(service, None);
    settle_families(service, None, pools)?;
    addresses::take_all(service, pools)?;
    ports::create(service, pools)
}

/// Takes what a changed Service newly needs, fills it in, and gives back what it no longer uses.
///
/// # Errors
/// What the client is told.
pub fn update(new: &mut Value, old: &Value, pools: &mut dyn Pools) -> Result<(), Status> {
    transitions::carry_over(new, old);
    transitions::align_cluster_ips(new, Some(old));
    settle_families(new, Some(old), pools)?;
    addresses::update(new, old, pools)?;
    ports::update(new, old, pools)
}

/// Gives back everything that a removed Service had.
pub fn removed(service: &Value, pools: &mut dyn Pools) {
    let spec = Spec::of(service);
    if !spec.is_external_name() && !spec.is_headless() {
        for address in spec.cluster_ips() {
            pools.release_address(address);
        }
    }
    for port in spec.node_ports() {
        pools.release_port(port);
    }
    if spec.needs_health_check() && spec.health_check_port() > 0 {
        pools.release_port(spec.health_check_port());
    }
}

fn settle_families(
    service: &mut Value,
    old: Option<&Value>,
    pools: &dyn Pools,
) -> Result<(), Status> {
    let settled = families::settle(service, old, pools.families());
    settled.map_err(|problems| invalid(service, &problems))
}

fn invalid(service: &Value, problems: &Problems) -> Status {
    let name = text(service, "/metadata/name");
    Status::invalid("", "Service", name, problems)
}

fn one_invalid(service: &Value, path: Path, value: impl Into<Value>, why: &str) -> Status {
    invalid(service, &vec![Problem::invalid(path, value, why)])
}

#[cfg(test)]
mod tests;
