//! What is wrong between Services and what is held for them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use api::allocator::{AddressRange, PortRange};
use api::ip_address::{FAMILY_LABEL, MANAGER, MANAGER_LABEL};
use api::service::families::Family;
use api::service::spec::Spec;
use api::validation::ip;
use api::validation::json::{integer, text};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;
use store::Revision;

/// An address object whose Service is not there may be younger than this, in seconds.
const NEW: i64 = 60;

/// An address object that its Service does not name may be younger than this, in seconds.
const FRESH: i64 = 5;

/// A stored object and its revision.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) revision: Revision,
    pub(super) object: Value,
}

/// As [`Stored`]; the name that the plan reads better with.
pub(super) type Seen = Stored;

/// What the addresses are held against.
pub(super) struct World {
    pub(super) ranges: Vec<IpNet>,
    pub(super) services: Vec<Seen>,
    pub(super) addresses: Vec<Seen>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) fix: Option<Fix>,
    pub(super) report: Option<Report>,
}

/// What puts it right.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fix {
    /// Writes the address object of a Service, over what has this revision.
    Book {
        address: IpAddr,
        service: Seen,
        over: Revision,
    },
    /// Removes an address object.
    Drop { address: Seen },
    /// Writes the key that holds a port.
    HoldPort { port: u16, service: Seen },
    /// Removes the key that holds a port.
    FreePort { port: u16, revision: Revision },
}

/// What is told about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) about: Value,
    pub(super) reporter: &'static str,
    pub(super) action: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What is wrong with addresses: each Service's against the objects, and then the other way round.
pub(super) fn addresses(world: &World, now: Timestamp) -> Vec<Finding> {
    let objects: BTreeMap<&str, &Seen> = world
        .addresses
        .iter()
        .map(|seen| (text(&seen.object, "/metadata/name"), seen))
        .collect();
    let mut findings = Vec::new();
    for service in &world.services {
        for cluster_ip in real_addresses(&service.object) {
            findings.extend(of_service(world, &objects, service, cluster_ip));
        }
    }
    let orphans = world
        .addresses
        .iter()
        .filter_map(|address| orphan(world, address, now));
    findings.extend(orphans);
    findings
}

/// The cluster IPs of a Service that has some.
fn real_addresses(service: &Value) -> Vec<&str> {
    let ips = Spec::of(service).cluster_ips();
    ips.into_iter()
        .filter(|ip| !matches!(*ip, "" | "None"))
        .collect()
}

fn of_service(
    world: &World,
    objects: &BTreeMap<&str, &Seen>,
    service: &Seen,
    cluster_ip: &str,
) -> Option<Finding> {
    let report = |reason, message| service_report(service, "ClusterIPAllocation", reason, message);
    let Some(address) = ip::parse_sloppy(cluster_ip) else {
        let message = format!("Cluster IP {cluster_ip} is not a valid IP; please recreate Service");
        return Some(only(service_report(
            service,
            "ClusterIPValidation",
            "ClusterIPNotValid",
            message,
        )));
    };
    let family = Family::of(cluster_ip).name();
    let ranges = world
        .ranges
        .iter()
        .filter_map(|range| AddressRange::new(*range));
    if !ranges.into_iter().any(|range| range.contains(address)) {
        let message = format!(
            "Cluster IP [{family}]: {address} is not within any configured Service CIDR; please recreate service"
        );
        return Some(only(report("ClusterIPOutOfRange", message)));
    }
    let book = |over| Fix::Book {
        address,
        service: service.clone(),
        over,
    };
    let Some(object) = objects.get(address.to_string().as_str()) else {
        let message = format!("Cluster IP [{family}]: {address} is not allocated; repairing");
        return Some(both(
            book(Revision::default()),
            report("ClusterIPNotAllocated", message),
        ));
    };
    let (namespace, name) = owner(&service.object);
    match holder(world, &object.object) {
        Holder::Service(other) if owner(&other.object) == (namespace, name) => {
            let fix = (!has_labels(&object.object)).then(|| book(object.revision));
            fix.map(|fix| Finding {
                fix: Some(fix),
                report: None,
            })
        }
        Holder::Service(other) if real_addresses(&other.object).contains(&cluster_ip) => {
            let message = format!(
                "Cluster IP [{family}]:{address} was assigned to multiple services; please recreate service"
            );
            Some(only(report("ClusterIPAlreadyAllocated", message)))
        }
        _ => {
            let message = format!(
                "the ClusterIP [{family}]: {address} for Service {namespace}/{name} has a wrong reference; repairing"
            );
            Some(both(
                book(object.revision),
                report("ClusterIPNotAllocated", message),
            ))
        }
    }
}

enum Holder<'a> {
    Service(&'a Seen),
    Nobody,
    Foreign,
}

/// Whom an address object names.
fn holder<'a>(world: &'a World, object: &Value) -> Holder<'a> {
    let part = |member: &str| text(object, &format!("/spec/parentRef/{member}"));
    if !part("group").is_empty() || part("resource") != "services" {
        return Holder::Foreign;
    }
    let named = (part("namespace"), part("name"));
    let mut services = world.services.iter();
    services
        .find(|service| owner(&service.object) == named)
        .map_or(Holder::Nobody, Holder::Service)
}

fn owner(service: &Value) -> (&str, &str) {
    (
        text(service, "/metadata/namespace"),
        text(service, "/metadata/name"),
    )
}

fn has_labels(object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let family = Family::of(text(object, "/metadata/name")).name();
    labels[MANAGER_LABEL] == MANAGER && labels[FAMILY_LABEL] == family
}

/// An address object of the allocator's that no Service backs.
fn orphan(world: &World, address: &Seen, now: Timestamp) -> Option<Finding> {
    let object = &address.object;
    if object["metadata"]["labels"][MANAGER_LABEL] != MANAGER {
        return None;
    }
    let name = text(object, "/metadata/name");
    let created = text(object, "/metadata/creationTimestamp").parse::<Timestamp>();
    let age = created.map_or(i64::MAX, |created| now.duration_since(created).as_secs());
    let part = |member: &str| text(object, &format!("/spec/parentRef/{member}"));
    let parent = format!("{}/{}", part("namespace"), part("name"));
    let (reason, message) = match holder(world, object) {
        Holder::Foreign => (
            "IPAddressNotAllocated",
            format!(
                "IPAddress {name} appears to have been modified, not referencing a Service: cleaning up"
            ),
        ),
        Holder::Nobody if age > NEW => (
            "IPAddressNotAllocated",
            format!("IPAddress: {name} for Service {parent} appears to have leaked: cleaning up"),
        ),
        Holder::Service(service) if is_stray(&service.object, name, age) => (
            "IPAddressWrongReference",
            format!("IPAddress: {name} for Service {parent} has a wrong reference; cleaning up"),
        ),
        _ => return None,
    };
    let report = Report {
        about: object.clone(),
        reporter: "ipallocator-repair-controller",
        action: "IPAddressAllocation",
        reason,
        message,
    };
    Some(both(
        Fix::Drop {
            address: address.clone(),
        },
        report,
    ))
}

fn is_stray(service: &Value, name: &str, age: i64) -> bool {
    let grace = if Spec::of(service).is_external_name() {
        NEW
    } else {
        FRESH
    };
    let same = |text: &&str| ip::parse_sloppy(text).is_some_and(|ip| ip.to_string() == name);
    age >= grace && !real_addresses(service).iter().any(same)
}

/// What is wrong with ports: those that Services have, and then those that are held for nobody.
pub(super) fn ports(
    services: &[Seen],
    held: &BTreeMap<u16, Revision>,
    range: RangeInclusive<u16>,
) -> Vec<Finding> {
    let range = PortRange::new(range);
    let mut used: BTreeSet<u16> = BTreeSet::new();
    let mut findings = Vec::new();
    for service in services {
        let report = |reason, message| Report {
            reporter: "portallocator-repair-controller",
            ..service_report(service, "PortAllocation", reason, message)
        };
        for number in held_ports(&service.object) {
            let Some(port) = range.port(number) else {
                let message = format!(
                    "Port {number} is not within the port range {range}; please recreate service"
                );
                findings.push(only(report("PortOutOfRange", message)));
                continue;
            };
            if !used.insert(port) {
                let message = format!(
                    "Port {port} was assigned to multiple services; please recreate service"
                );
                findings.push(only(report("PortAlreadyAllocated", message)));
            } else if !held.contains_key(&port) {
                let message = format!("Port {port} is not allocated; repairing");
                let fix = Fix::HoldPort {
                    port,
                    service: service.clone(),
                };
                findings.push(both(fix, report("PortNotAllocated", message)));
            }
        }
    }
    // Upstream waits for three passes, because there the port is taken before its Service is written.
    let leaked = held.iter().filter(|(port, _)| !used.contains(port));
    findings.extend(leaked.map(|(port, revision)| Finding {
        fix: Some(Fix::FreePort {
            port: *port,
            revision: *revision,
        }),
        report: None,
    }));
    findings
}

/// The ports of a Service: one that several protocols share counts once, one that is doubled twice.
fn held_ports(service: &Value) -> Vec<i64> {
    let spec = Spec::of(service);
    let mut seen: BTreeSet<(i64, &str)> = BTreeSet::new();
    let mut ports: Vec<i64> = Vec::new();
    for port in spec.ports() {
        let number = integer(port, "/nodePort");
        let doubled = !seen.insert((number, text(port, "/protocol")));
        if number != 0 && (doubled || !ports.contains(&number)) {
            ports.push(number);
        }
    }
    let health = spec.health_check_port();
    let shared = ports.contains(&health) && !seen.contains(&(health, "TCP"));
    if health != 0 && !shared {
        ports.push(health);
    }
    ports
}

fn service_report(
    service: &Seen,
    action: &'static str,
    reason: &'static str,
    message: String,
) -> Report {
    Report {
        about: service.object.clone(),
        reporter: "ipallocator-repair-controller",
        action,
        reason,
        message,
    }
}

fn only(report: Report) -> Finding {
    Finding {
        fix: None,
        report: Some(report),
    }
}

fn both(fix: Fix, report: Report) -> Finding {
    Finding {
        fix: Some(fix),
        report: Some(report),
    }
}

#[cfg(test)]
mod tests;
