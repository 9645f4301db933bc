//! The ranges that cluster IPs come from now, and the objects that hold them.

use std::net::IpAddr;

use api::allocator::AddressRange;
use api::ip_address;
use api::service::families::Family;
use api::service_cidr;
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registry::Registry;

/// The ranges of all ServiceCIDRs, each with whether it gives new addresses.
pub(super) struct Ranges(Vec<(AddressRange, bool)>);

/// Reads the ServiceCIDRs. A range that several name is ready if one of them is.
pub(super) fn ranges(registry: &Registry) -> Ranges {
    let mut ranges: Vec<(AddressRange, bool)> = Vec::new();
    let listed = registry.kind("networking.k8s.io", "servicecidrs").list("");
    for stored in listed.objects {
        let object = stored.value();
        let ready = service_cidr::is_ready(&object);
        for cidr in service_cidr::cidrs(&object) {
            let Some(range) = cidr.parse::<IpNet>().ok().and_then(AddressRange::new) else {
                continue;
            };
            match ranges.iter_mut().find(|(known, _)| *known == range) {
                Some((_, known)) => *known |= ready,
                None => ranges.push((range, ready)),
            }
        }
    }
    Ranges(ranges)
}

impl Ranges {
    /// Whether a range that gives addresses has this one.
    pub(super) fn give(&self, address: IpAddr) -> bool {
        let mut ready = self.0.iter().filter(|(_, ready)| *ready);
        ready.any(|(range, _)| range.contains(address))
    }

    /// The ranges of a family that give addresses.
    pub(super) fn ready(&self, family: Family) -> impl Iterator<Item = &AddressRange> {
        let ready = self.0.iter().filter(|(_, ready)| *ready);
        ready
            .map(|(range, _)| range)
            .filter(move |range| is_of(range, family))
    }

    /// The range of a family that a dry run asks: one that has the address, or else the first.
    pub(super) fn for_dry_run(
        &self,
        family: Family,
        address: Option<IpAddr>,
    ) -> Option<(&AddressRange, bool)> {
        let mut own = self.0.iter().filter(|(range, _)| is_of(range, family));
        let first = own.clone().next();
        let found = own.find(|(range, _)| address.is_some_and(|address| range.contains(address)));
        found.or(first).map(|(range, ready)| (range, *ready))
    }
}

fn is_of(range: &AddressRange, family: Family) -> bool {
    range.net().addr().is_ipv4() == (family == Family::V4)
}

/// The IPAddress object of a Service's address, complete as the server stores it.
pub(super) fn object(address: IpAddr, service: &Value, now: Timestamp) -> Value {
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut object = ip_address::of_service(&address.to_string(), service);
    object["metadata"]["uid"] = Uuid::new_v4().to_string().into();
    object["metadata"]["creationTimestamp"] = time.clone().into();
    let labels = json!({
        ".": {},
        format!("f:{}", ip_address::FAMILY_LABEL): {},
        format!("f:{}", ip_address::MANAGER_LABEL): {},
    });
    let parent = json!({".": {}, "f:name": {}, "f:namespace": {}, "f:resource": {}});
    object["metadata"]["managedFields"] = json!([{
        "manager": "kube-apiserver",
        "operation": "Update",
        "apiVersion": "networking.k8s.io/v1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": labels}, "f:spec": {"f:parentRef": parent}},
    }]);
    object
}
