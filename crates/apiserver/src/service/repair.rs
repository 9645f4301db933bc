//! Makes addresses and ports match the Services again, whatever came between: an IPAddress that somebody
//! removed, a store that was edited by hand, a port whose Service is gone (`ipallocator/controller`,
//! `portallocator/controller`).
//!
//! What is wrong and what to do about it is a [`plan`]; here each finding is carried out, on the condition
//! that nothing it was read from has changed, and told in an event.

mod event;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use api::service::spec::Spec;
use api::service_cidr;
use api::validation::{ip, json};
use ipnet::IpNet;
use jiff::Timestamp;
use store::{
    Compare, Operation, RangeQuery, Revision, StoreError, Transaction, TransactionOutcome,
};

use super::{addresses, claims, kind, ports};
use crate::api_state::Api;
use crate::codec;
use crate::keys;
use crate::registry::Change;
use plan::{Finding, Fix, Seen, Stored, World};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(180);

/// Changes of IPAddresses are gathered for so long before they are looked at.
const GATHER: Duration = Duration::from_millis(500);

/// Looks through everything at the start and every three minutes, and at once when an IPAddress of a
/// Service was changed or removed.
pub(crate) async fn run(api: Arc<Api>) {
    loop {
        if let Err(error) = pass(&api).await {
            tracing::warn!(%error, "addresses and ports of Services cannot be compared with the store");
        }
        let _ = tokio::time::timeout(EVERY, tampered(&api)).await;
    }
}

/// Returns when an IPAddress was changed or removed and its Service still has the address, or when a Service
/// came with an address that is not booked (through its status, past the allocation).
async fn tampered(api: &Api) {
    let addresses = api.registry.kind("networking.k8s.io", "ipaddresses");
    let services = api.registry.kind("", "services");
    let (mut touched, mut written) = (addresses.changed(), services.changed());
    let (mut next, mut next_service) = (addresses.list("").next, services.list("").next);
    loop {
        let changed = tokio::select! {
            changed = touched.changed() => changed,
            changed = written.changed() => changed,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GATHER).await;
        let (Ok((changes, after)), Ok((new, after_service))) = (
            addresses.changes_from(next, usize::MAX),
            services.changes_from(next_service, usize::MAX),
        ) else {
            return;
        };
        (next, next_service) = (after, after_service);
        let unbooked = new.iter().any(|change| is_unbooked(api, change));
        if unbooked || changes.iter().any(|change| is_tampering(api, change)) {
            return;
        }
    }
}

/// Whether a Service that is there now has an address without an object.
fn is_unbooked(api: &Api, change: &Change) -> bool {
    let services = api.registry.kind("", "services");
    let Some(service) = services.get(change.object.namespace(), change.object.name()) else {
        return false;
    };
    let service = service.value();
    let addresses = api.registry.kind("networking.k8s.io", "ipaddresses");
    let mut ips = Spec::of(&service)
        .cluster_ips()
        .into_iter()
        .filter_map(ip::parse_sloppy);
    ips.any(|ip| addresses.get("", &ip.to_string()).is_none())
}

/// Whether a Service still has the address of an object that was changed or removed. An object that went
/// with its Service is no loss.
fn is_tampering(api: &Api, change: &Change) -> bool {
    let Some(before) = &change.previous else {
        return false;
    };
    let object = before.value();
    let parent =
        |member: &str| json::text(&object, &format!("/spec/parentRef/{member}")).to_owned();
    let services = api.registry.kind("", "services");
    let service = services.get(&parent("namespace"), &parent("name"));
    service.is_some_and(|service| {
        let service = service.value();
        let ips = Spec::of(&service).cluster_ips();
        let named =
            |text: &&str| ip::parse_sloppy(text).is_some_and(|ip| ip.to_string() == before.name());
        ips.iter().any(named)
    })
}

async fn pass(api: &Api) -> Result<(), StoreError> {
    let store = api.registry.store();
    // Each thing is read after what must not be newer: a port is written with its Service, so one that
    // nobody has by then is leaked; and an address with its Service, so one that is not there is missing.
    let held = store.range(RangeQuery::prefix(ports::prefix())).await?;
    api.registry.fresh().await?;
    let services = seen(api, "", "services");
    api.registry.fresh().await?;
    let world = World {
        ranges: ranges(api),
        services,
        addresses: seen(api, "networking.k8s.io", "ipaddresses"),
    };
    let mut findings = plan::addresses(&world, Timestamp::now());
    let held = held.items.iter().filter_map(|item| {
        let port = ports::port_of(&item.key)?;
        Some((port, item.mod_revision))
    });
    let range = api.config.node_ports.clone();
    findings.extend(plan::ports(&world.services, &held.collect(), range));
    for finding in findings {
        let done = carry_out(api, &finding).await?;
        if let Some(report) = finding.report.as_ref().filter(|_| done) {
            event::tell(api, report).await?;
        }
    }
    Ok(())
}

fn ranges(api: &Api) -> Vec<IpNet> {
    let objects = seen(api, "networking.k8s.io", "servicecidrs");
    let texts = objects
        .iter()
        .flat_map(|range| service_cidr::cidrs(&range.object));
    texts.filter_map(|cidr| cidr.parse().ok()).collect()
}

fn seen(api: &Api, group: &str, plural: &str) -> Vec<Seen> {
    let objects = api.registry.kind(group, plural).list("").objects;
    let seen = objects.iter().map(|stored| Stored {
        revision: stored.revision(),
        object: stored.value(),
    });
    seen.collect()
}

/// Writes what the finding asks for, and says whether that held. When something has changed meanwhile, the
/// next pass sees to it.
async fn carry_out(api: &Api, finding: &Finding) -> Result<bool, StoreError> {
    let Some(fix) = &finding.fix else {
        return Ok(true);
    };
    let outcome = api.registry.store().transact(transaction(fix)).await?;
    let done = matches!(outcome, TransactionOutcome::Committed { .. });
    tracing::warn!(?fix, done, "repairing what Services hold");
    Ok(done)
}

fn transaction(fix: &Fix) -> Transaction {
    let (compares, operation) = match fix {
        Fix::Book {
            address,
            service,
            over,
        } => {
            let key = claims::address_key(*address);
            let object = addresses::object(*address, &service.object, Timestamp::now());
            let value = codec::encode(&object);
            let compares = vec![unchanged(service), at(key.clone(), *over)];
            (compares, Operation::Put { key, value })
        }
        Fix::Drop { address } => {
            let addresses = kind("networking.k8s.io", "ipaddresses");
            let name = address.object["metadata"]["name"]
                .as_str()
                .unwrap_or_default();
            let key = keys::object(addresses, "", name);
            let compares = vec![at(key.clone(), address.revision)];
            (compares, Operation::Delete { key })
        }
        Fix::HoldPort { port, service } => {
            let key = ports::key(*port);
            let value = claims::owner(&service.object).into();
            let compares = vec![unchanged(service), at(key.clone(), Revision::default())];
            (compares, Operation::Put { key, value })
        }
        Fix::FreePort { port, revision } => {
            let key = ports::key(*port);
            (vec![at(key.clone(), *revision)], Operation::Delete { key })
        }
    };
    Transaction {
        compares,
        operations: vec![operation],
    }
}

fn at(key: bytes::Bytes, mod_revision: Revision) -> Compare {
    Compare { key, mod_revision }
}

fn unchanged(service: &Seen) -> Compare {
    let metadata = |member: &str| {
        service.object["metadata"][member]
            .as_str()
            .unwrap_or_default()
    };
    let key = keys::object(
        kind("", "services"),
        metadata("namespace"),
        metadata("name"),
    );
    at(key, service.revision)
}
