//! What is known to be taken: read from the caches and the store, guessed between the two.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::allocator::{AddressRange, PortRange};
use api::service::families::Family;
use api::service::spec::Spec;
use api::status::Status;
use serde_json::Value;

use super::addresses::{self, Ranges};
use super::ports::Ports;
use super::{families, named_ports};
use crate::config::Config;
use crate::registry::Registry;

/// The pools of a cluster, shared by all writes of Services.
pub(super) struct Books {
    registry: Arc<Registry>,
    families: Vec<Family>,
    ports: Ports,
    /// Addresses of writes that are under way.
    addresses: Mutex<HashSet<IpAddr>>,
}

/// What one write needs to know, gathered before it asks.
pub(super) struct View {
    pub(super) families: Vec<Family>,
    pub(super) ranges: Ranges,
    /// Of the ports that the Service names, those that somebody has.
    pub(super) taken_ports: HashSet<i64>,
}

impl Books {
    pub(super) fn new(config: &Config, registry: &Arc<Registry>) -> Self {
        Self {
            registry: registry.clone(),
            families: families(config),
            ports: Ports::new(PortRange::new(config.node_ports.clone())),
            addresses: Mutex::default(),
        }
    }

    /// The view for this write. The store is asked for each port that is newly named, because memory may
    /// be behind another server; it is only right about what this one did.
    pub(super) async fn view(&self, new: &Value, old: Option<&Value>) -> Result<View, Status> {
        let store = self.registry.store();
        self.ports.ready(store).await?;
        let had = old
            .map(|old| Spec::of(old).node_ports())
            .unwrap_or_default();
        let mut taken_ports = HashSet::new();
        for port in named_ports(new) {
            if !had.contains(&port) && self.ports.is_taken(store, port).await? {
                taken_ports.insert(port);
            }
        }
        self.registry
            .fresh()
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(View {
            families: self.families.clone(),
            ranges: addresses::ranges(&self.registry),
            taken_ports,
        })
    }

    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Whether an address is taken, as far as is known.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        let cache = self.registry.kind("networking.k8s.io", "ipaddresses");
        cache.get("", &address.to_string()).is_some() || self.under_way().contains(&address)
    }

    /// Marks an address as taken by a write that is under way; `false` when another one was faster.
    pub(super) fn mark_address(&self, address: IpAddr) -> bool {
        !self.has_address(address) && self.under_way().insert(address)
    }

    /// The write with this address is decided.
    pub(super) fn unmark_address(&self, address: IpAddr) {
        self.under_way().remove(&address);
    }

    /// Picks an address and marks it.
    pub(super) fn pick_address(&self, range: &AddressRange, chance: u64) -> Option<IpAddr> {
        range.pick(chance, |address| !self.mark_address(address))
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<IpAddr>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
