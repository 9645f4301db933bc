//! Cluster IPs: one for each family the Service has.

use serde_json::Value;

use super::super::families::{Family, keeps_both};
use super::super::spec::Spec;
use super::{AddressRefused, Pools, one_invalid};
use crate::field::Path;
use crate::status::Status;
use crate::validation::json::{set, text};

/// Takes the named address or picks one, for each family.
pub(super) fn take_all(service: &mut Value, pools: &mut dyn Pools) -> Result<(), Status> {
    let spec = Spec::of(service);
    if spec.is_external_name() || spec.cluster_ips().first() == Some(&"None") {
        return Ok(());
    }
    let families = spec.families().len();
    let mut ips: Vec<String> = spec.cluster_ips().into_iter().map(str::to_owned).collect();
    ips.resize(ips.len().max(families), String::new());
    fill(service, &mut ips, 0, pools)
}

/// Takes what a changed Service lacks and gives back what it lost.
pub(super) fn update(new: &mut Value, old: &Value, pools: &mut dyn Pools) -> Result<(), Status> {
    if keeps_both(new, Some(old)) {
        return Ok(());
    }
    let (before, spec) = (Spec::of(old), Spec::of(new));
    match (before.is_external_name(), spec.is_external_name()) {
        (true, false) => return take_all(new, pools),
        (true, true) => return Ok(()),
        _ if before.cluster_ips().first() == Some(&"None") => return Ok(()),
        (false, true) => {
            for address in before.cluster_ips() {
                pools.release_address(address);
            }
            return Ok(());
        }
        (false, false) => {}
    }
    match (before.families().len(), spec.families().len()) {
        (1, 2) => {
            let mut ips: Vec<String> = spec.cluster_ips().into_iter().map(str::to_owned).collect();
            ips.resize(ips.len().max(2), String::new());
            fill(new, &mut ips, 1, pools)
        }
        (2, 1) => {
            if let Some(second) = before.cluster_ips().get(1) {
                pools.release_address(second);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Takes or picks the addresses from number `first` on and writes them all down.
fn fill(
    service: &mut Value,
    ips: &mut [String],
    first: usize,
    pools: &mut dyn Pools,
) -> Result<(), Status> {
    let families: Vec<Family> = Spec::of(service)
        .families()
        .into_iter()
        .filter_map(Family::named)
        .collect();
    let asked = ips.to_vec();
    for (i, family) in families.into_iter().enumerate().skip(first) {
        if ips[i].is_empty() {
            let picked = pools.pick_address(service, family);
            ips[i] = picked.map_err(|refused| not_picked(service, &asked, refused))?;
        } else {
            let taken = pools.take_address(service, &ips[i]);
            taken.map_err(|refused| not_taken(service, &asked, &ips[i], refused))?;
        }
    }
    if let Some(primary) = ips.first() {
        set(service, "/spec", "clusterIP", primary.as_str());
        set(service, "/spec", "clusterIPs", ips.to_vec());
    }
    Ok(())
}

fn not_picked(service: &Value, ips: &[String], refused: AddressRefused) -> Status {
    match refused {
        AddressRefused::Full => Status::internal(format!(
            "failed to allocate a serviceIP for Service \"{}\": range is full",
            text(service, "/metadata/name")
        )),
        AddressRefused::Because(why) => {
            let text = format!("failed to allocate IP: {why}");
            one_invalid(service, Path::new("spec.clusterIPs"), ips.to_vec(), &text)
        }
    }
}

fn not_taken(service: &Value, ips: &[String], address: &str, refused: AddressRefused) -> Status {
    let why = match refused {
        AddressRefused::Full => "range is full".to_owned(),
        AddressRefused::Because(why) => why,
    };
    let text = format!("failed to allocate IP {address}: {why}");
    one_invalid(service, Path::new("spec.clusterIPs"), ips.to_vec(), &text)
}
