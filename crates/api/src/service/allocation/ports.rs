//! Node ports and the health-check port.
//!
//! Create and update differ, as they do upstream: on create the protocols of one service port number share a
//! node port; on update every port without a number gets one of its own.

use std::collections::HashMap;

use serde_json::Value;

use super::super::defaults::ports_mut;
use super::super::spec::Spec;
use super::{Pools, one_invalid};
use crate::field::Path;
use crate::status::Status;
use crate::validation::json::{integer, set, text};

/// The ports of a new Service.
pub(super) fn create(service: &mut Value, pools: &mut dyn Pools) -> Result<(), Status> {
    if Spec::of(service).may_have_node_ports() {
        create_node_ports(service, pools)?;
    }
    if Spec::of(service).needs_health_check() {
        take_health_check_port(service, pools)?;
    }
    Ok(())
}

fn create_node_ports(service: &mut Value, pools: &mut dyn Pools) -> Result<(), Status> {
    let allocates = Spec::of(service).allocates_node_ports();
    let mut shared: HashMap<i64, i64> = HashMap::new();
    for i in 0..Spec::of(service).ports().len() {
        let this = &Spec::of(service).ports()[i];
        let (number, asked) = (integer(this, "/port"), integer(this, "/nodePort"));
        if asked == 0 && !allocates {
            continue;
        }
        let given = match shared.get(&number) {
            None => {
                let wanted = requested(number, Spec::of(service).ports());
                let given = take_or_pick(service, i, wanted, pools)?;
                shared.insert(number, given);
                given
            }
            Some(shared) if asked == 0 || asked == *shared => *shared,
            Some(_) => take_or_pick(service, i, asked, pools)?,
        };
        ports_mut(service)[i]["nodePort"] = given.into();
    }
    Ok(())
}

/// The node port that any entry of this service port number names, or zero.
fn requested(number: i64, ports: &[Value]) -> i64 {
    let same = ports.iter().filter(|port| integer(port, "/port") == number);
    let mut named = same.map(|port| integer(port, "/nodePort"));
    named.find(|port| *port != 0).unwrap_or(0)
}

fn take_or_pick(
    service: &Value,
    index: usize,
    wanted: i64,
    pools: &mut dyn Pools,
) -> Result<i64, Status> {
    if wanted == 0 {
        let picked = pools.pick_port();
        return picked
            .map_err(|why| Status::internal(format!("failed to allocate a nodePort: {why}")));
    }
    let at = Path::new("spec.ports").index(index).child("nodePort");
    let taken = pools.take_port(wanted);
    taken.map_err(|why| one_invalid(service, at, wanted, &why))?;
    Ok(wanted)
}

/// The ports of a changed Service.
pub(super) fn update(new: &mut Value, old: &Value, pools: &mut dyn Pools) -> Result<(), Status> {
    let before = Spec::of(old);
    let closes = matches!(Spec::of(new).kind(), "ExternalName" | "ClusterIP");
    if before.may_have_node_ports() && closes {
        release(&before.node_ports(), &[], pools);
    }
    if Spec::of(new).may_have_node_ports() {
        update_node_ports(new, before, pools)?;
    }
    match (
        before.needs_health_check(),
        Spec::of(new).needs_health_check(),
    ) {
        (false, true) => take_health_check_port(new, pools)?,
        (true, false) => pools.release_port(before.health_check_port()),
        _ => {}
    }
    Ok(())
}

fn update_node_ports(
    new: &mut Value,
    before: Spec<'_>,
    pools: &mut dyn Pools,
) -> Result<(), Status> {
    let allocates = Spec::of(new).allocates_node_ports();
    let had = before.node_ports();
    let mut taken: Vec<i64> = Vec::new();
    let mut seen: Vec<(String, i64)> = Vec::new();
    for i in 0..Spec::of(new).ports().len() {
        let this = &Spec::of(new).ports()[i];
        let asked = integer(this, "/nodePort");
        let protocol = text(this, "/protocol").to_owned();
        if asked == 0 && !allocates {
            continue;
        }
        let mut given = asked;
        if asked == 0 || (!had.contains(&asked) && !taken.contains(&asked)) {
            given = take_or_pick(new, i, asked, pools)?;
            taken.push(given);
        }
        ports_mut(new)[i]["nodePort"] = given.into();
        if seen.contains(&(protocol.clone(), given)) {
            // Upstream's own words, as an error without a type.
            return Err(Status::untyped(format!(
                "duplicate nodePort: {{{protocol} {given}}}"
            )));
        }
        seen.push((protocol, given));
    }
    release(&had, &Spec::of(new).node_ports(), pools);
    Ok(())
}

fn release(had: &[i64], has: &[i64], pools: &mut dyn Pools) {
    for port in had.iter().filter(|port| !has.contains(port)) {
        pools.release_port(*port);
    }
}

fn take_health_check_port(service: &mut Value, pools: &mut dyn Pools) -> Result<(), Status> {
    let wanted = Spec::of(service).health_check_port();
    let given = health_check_port(wanted, pools).map_err(Status::internal)?;
    set(service, "/spec", "healthCheckNodePort", given);
    Ok(())
}

/// Takes the wanted health-check port, or any where it is zero. The error is upstream's internal one.
fn health_check_port(wanted: i64, pools: &mut dyn Pools) -> Result<i64, String> {
    if wanted == 0 {
        let picked = pools.pick_port();
        return picked.map_err(|why| format!("failed to allocate a HealthCheck NodePort 0: {why}"));
    }
    let taken = pools.take_port(wanted);
    taken.map_err(|why| {
        format!("failed to allocate requested HealthCheck NodePort {wanted}: {why}")
    })?;
    Ok(wanted)
}
