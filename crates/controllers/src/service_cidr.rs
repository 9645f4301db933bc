//! Says when a ServiceCIDR may be used, and keeps it while addresses depend on it
//! (upstream: `pkg/controller/servicecidrs`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use kube::api::ListParams;
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::queue::{Again, Queue};
use crate::time::{left, now};
use crate::write;

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";

/// A deleted range stays for so long, until no server gives out its addresses any more.
const GRACE: Duration = Duration::from_secs(10);

/// How soon a range that is held by addresses is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs the controller.
pub(crate) async fn run(context: Context) {
    let queue = Queue::new(Duration::from_millis(20));
    let (to, weak) = (queue.clone(), Arc::downgrade(&context.caches));
    context.caches.service_cidrs().listen(move |old, new| {
        new.into_iter().for_each(|range| to.add(Key::of(range)));
        // What went or came may cover a range that waits.
        if let (true, Some(caches)) = (old.is_none() || new.is_none(), weak.upgrade()) {
            let all = caches.service_cidrs().all();
            let waiting = all
                .iter()
                .filter(|range| range.metadata.deletion_timestamp.is_some());
            waiting.for_each(|range| to.add(Key::of(&**range)));
        }
    });
    context.caches.service_cidrs().ready().await;
    queue
        .work("service-cidr", 2, |key| sync(&context, key))
        .await;
}

async fn sync(context: &Context, key: Key) -> Result<Again> {
    let cache = context.caches.service_cidrs();
    let Some(range) = cache.get(&key) else {
        return Ok(None);
    };
    let Some(deleted) = range.metadata.deletion_timestamp.clone() else {
        add_finalizer(context, &range).await?;
        let message = "Kubernetes Service CIDR is ready";
        return set_ready(context, &range, ("True", "", message))
            .await
            .map(|()| None);
    };
    if !holds_finalizer(&range) {
        return Ok(None);
    }
    let nets = nets(&range);
    let all = cache.all();
    let others: Vec<_> = all
        .iter()
        .filter(|other| Key::of(&***other) != key)
        .flat_map(|other| self::nets(other))
        .collect();
    let covered = nets
        .iter()
        .all(|net| others.iter().any(|other| other.contains(net)));
    if !covered && is_held(&nets, &others, &addresses(context).await?) {
        let message = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
        set_ready(context, &range, ("False", "Terminating", message)).await?;
        return Ok(Some(LOOK_AGAIN));
    }
    match left(&deleted, GRACE, Timestamp::now()) {
        Some(left) => Ok(Some(left)),
        None => remove_finalizer(context, &range).await.map(|()| None),
    }
}

fn nets(range: &ServiceCIDR) -> Vec<IpNet> {
    let texts = range
        .spec
        .iter()
        .flat_map(|spec| spec.cidrs.iter().flatten());
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// Whether an address lies in these ranges and in no other.
fn is_held(nets: &[IpNet], others: &[IpNet], addresses: &[IpAddr]) -> bool {
    let within = |nets: &[IpNet], address: &IpAddr| nets.iter().any(|net| net.contains(address));
    addresses
        .iter()
        .any(|address| within(nets, address) && !within(others, address))
}

/// The addresses of the allocator. They are many and asked for rarely, so they are not followed.
async fn addresses(context: &Context) -> Result<Vec<IpAddr>> {
    let parameters =
        ListParams::default().labels("ipaddress.kubernetes.io/managed-by=ipallocator.k8s.io");
    let listed = context.cluster::<IPAddress>().list(&parameters).await;
    let listed = listed.map_err(|source| Error::Api {
        verb: "list",
        what: "IPAddresses".to_owned(),
        source,
    })?;
    let names = listed
        .items
        .into_iter()
        .filter_map(|address| address.metadata.name);
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

fn holds_finalizer(range: &ServiceCIDR) -> bool {
    range
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|name| name == FINALIZER)
}

async fn add_finalizer(context: &Context, range: &ServiceCIDR) -> Result<()> {
    if holds_finalizer(range) {
        return Ok(());
    }
    let mut finalizers = range.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(FINALIZER.to_owned());
    write_finalizers(context, range, &json!(finalizers)).await
}

async fn remove_finalizer(context: &Context, range: &ServiceCIDR) -> Result<()> {
    let mut finalizers = range.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|name| name != FINALIZER);
    let finalizers = if finalizers.is_empty() {
        json!(null)
    } else {
        json!(finalizers)
    };
    write_finalizers(context, range, &finalizers).await
}

async fn write_finalizers(
    context: &Context,
    range: &ServiceCIDR,
    finalizers: &serde_json::Value,
) -> Result<()> {
    let patch = json!({"metadata": {"uid": range.metadata.uid, "finalizers": finalizers}});
    match write::patch(&context.cluster::<ServiceCIDR>(), &Key::of(range), &patch).await {
        Err(problem) if problem.is_not_found() => Ok(()),
        written => written.map(|_| ()),
    }
}

/// Sets the condition Ready to a status, with its reason and message.
async fn set_ready(
    context: &Context,
    range: &ServiceCIDR,
    (status, reason, message): (&str, &str, &str),
) -> Result<()> {
    let conditions = range
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    if conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == status)
    {
        return Ok(());
    }
    let others = conditions
        .iter()
        .filter(|condition| condition.type_ != "Ready")
        .map(|condition| json!(condition));
    let ready = json!({"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": now()});
    let patch = json!({"status": {"conditions": others.chain([ready]).collect::<Vec<_>>()}});
    let written =
        write::patch_status(&context.cluster::<ServiceCIDR>(), &Key::of(range), &patch).await?;
    context.caches.service_cidrs().catch_up(&written).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_held_by_addresses_that_no_other_covers() {
        let nets = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<IpNet>>()
        };
        type Texts<'a> = &'a [&'a str];
        let cases: [(Texts<'_>, Texts<'_>, Texts<'_>, bool); 4] = [
            (&["10.0.0.0/24"], &[], &["10.0.0.5"], true),
            (&["10.0.0.0/24"], &[], &["10.1.0.5"], false),
            (&["10.0.0.0/24"], &["10.0.0.0/30"], &["10.0.0.1"], false),
            (&["10.0.0.0/24"], &["10.0.0.0/30"], &["10.0.0.5"], true),
        ];
        for (own, others, addresses, expected) in cases {
            let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(
                is_held(&nets(own), &nets(others), &addresses),
                expected,
                "{own:?} {others:?}"
            );
        }
    }
}
