//! Which addresses a Service is to have.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use crate::endpoint_slices::endpoint::{Family, families};
use crate::key::Key;
use crate::load_balancer::Pools;

/// Asks for certain addresses, separated by commas; the field `spec.loadBalancerIP` asks for one.
pub const ADDRESSES_ANNOTATION: &str = "fairway/load-balancer-addresses";

/// Keeps a deleted Service until its address is free again.
const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// What is to be done about a Service.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    Nothing,
    /// A patch of the status that gives addresses.
    Give(Value),
    /// A patch of the status that takes them back.
    TakeBack(Value),
    /// No address, and why.
    Refuse(String),
}

/// Draws up the plan for a Service among all.
pub(super) fn plan(service: &Service, all: &[Arc<Service>], pools: &Pools) -> Plan {
    let held = service
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|name| name == FINALIZER);
    if !wants(service) || service.metadata.deletion_timestamp.is_some() {
        return if held {
            Plan::TakeBack(taken_back(service))
        } else {
            Plan::Nothing
        };
    }
    let taken = taken(service, all);
    let current = addresses(service);
    match choose(service, &current, &taken, pools) {
        Ok(chosen) if held && chosen == current => Plan::Nothing,
        Ok(chosen) => Plan::Give(given(service, &chosen)),
        Err(why) => Plan::Refuse(why),
    }
}

/// A Service with a class is somebody else's, whatever the class.
fn wants(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.type_.as_deref() == Some("LoadBalancer") && spec.load_balancer_class.is_none()
    })
}

/// The load-balancer addresses in a Service's status.
pub(super) fn addresses(service: &Service) -> Vec<IpAddr> {
    let balancer = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer
        .and_then(|balancer| balancer.ingress.as_deref())
        .unwrap_or_default();
    let texts = ingress.iter().filter_map(|ingress| ingress.ip.as_deref());
    texts.filter_map(|text| text.parse().ok()).collect()
}

fn taken(service: &Service, all: &[Arc<Service>]) -> BTreeSet<IpAddr> {
    let own = Key::of(service);
    let others = all
        .iter()
        .filter(|other| wants(other) && Key::of(&***other) != own);
    others.flat_map(|other| addresses(other)).collect()
}

/// One address for each family of the Service that the pools have, its first family among them.
fn choose(
    service: &Service,
    current: &[IpAddr],
    taken: &BTreeSet<IpAddr>,
    pools: &Pools,
) -> Result<Vec<IpAddr>, String> {
    let requested = requested(service)?;
    let families = families(service);
    for address in &requested {
        if !families.contains(&Family::of(*address)) {
            return Err(format!(
                "the requested address {address} is of a family that the Service does not have"
            ));
        }
    }
    let mut chosen = Vec::new();
    for (index, family) in families.into_iter().enumerate() {
        let of_family = |address: &&IpAddr| Family::of(**address) == family;
        let asked = requested.iter().find(of_family).copied();
        let kept = current.iter().find(of_family).copied();
        if asked.is_none() && !pools.has_family(family == Family::Ipv6) {
            if index == 0 {
                return Err(format!("no pool has {} addresses", family.name()));
            }
            continue;
        }
        chosen.push(choose_one(family, asked, kept, (taken, pools))?);
    }
    Ok(chosen)
}

fn choose_one(
    family: Family,
    asked: Option<IpAddr>,
    kept: Option<IpAddr>,
    (taken, pools): (&BTreeSet<IpAddr>, &Pools),
) -> Result<IpAddr, String> {
    let is_free = |address: IpAddr| !taken.contains(&address);
    match (asked, kept) {
        (Some(asked), _) if !pools.contains(asked) => {
            Err(format!("the requested address {asked} is in no pool"))
        }
        (Some(asked), _) if !is_free(asked) => Err(format!(
            "the requested address {asked} belongs to another Service"
        )),
        (Some(asked), _) => Ok(asked),
        (None, Some(kept)) if pools.contains(kept) && is_free(kept) => Ok(kept),
        (None, _) => {
            let free = pools.free(family == Family::Ipv6, |address| taken.contains(&address));
            free.ok_or_else(|| {
                format!("all {} addresses of the pools are given out", family.name())
            })
        }
    }
}

fn requested(service: &Service) -> Result<Vec<IpAddr>, String> {
    let field = service
        .spec
        .as_ref()
        .and_then(|spec| spec.load_balancer_ip.as_deref());
    let annotations = service.metadata.annotations.as_ref();
    let annotation = annotations
        .and_then(|all| all.get(ADDRESSES_ANNOTATION))
        .map(String::as_str);
    let text = annotation.or(field).unwrap_or_default();
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let parse = |word: &str| {
        word.parse()
            .map_err(|_| format!("the requested address {word:?} is no IP address"))
    };
    words.map(parse).collect()
}

fn given(service: &Service, addresses: &[IpAddr]) -> Value {
    let ingress: Vec<_> = addresses
        .iter()
        .map(|ip| json!({"ip": ip, "ipMode": "VIP"}))
        .collect();
    let mut finalizers = service.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    patch(service, &json!(finalizers), &json!(ingress))
}

fn taken_back(service: &Service) -> Value {
    let mut finalizers = service.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|name| name != FINALIZER);
    let finalizers = if finalizers.is_empty() {
        Value::Null
    } else {
        json!(finalizers)
    };
    patch(service, &finalizers, &Value::Null)
}

/// The revision makes the server refuse if the Service is no longer the one that was looked at.
fn patch(service: &Service, finalizers: &Value, ingress: &Value) -> Value {
    json!({
        "metadata": {"resourceVersion": service.metadata.resource_version, "finalizers": finalizers},
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}
