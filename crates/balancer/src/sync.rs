//! Telling the kernel: the difference between what is there and what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use kernel::Netlink;
use kernel::netlink::Link;
use kernel::nft::{self, Data, Elements, INET, Operation};

use crate::plan::Desired;
use crate::rules::{self, Contents, SETS, TABLE, VERSION};
use crate::run::BalancerError;

/// The kernel as this balancer has left it.
pub(crate) struct Kernel {
    netlink: Netlink,
    link: Link,
    own: Vec<IpAddr>,
    elements: Elements,
    contents: Contents,
    addresses: BTreeSet<IpAddr>,
}

impl Kernel {
    /// Adopts what a predecessor left, or starts with empty rules.
    pub(crate) async fn adopt(interface: &str, own: Vec<IpAddr>) -> Result<Self, BalancerError> {
        let netlink = Netlink::here()?;
        let link = netlink.link(interface).await?;
        let mut elements = Elements::open(INET, TABLE)?;
        let contents = if elements.chain_exists(VERSION)? {
            read_back(&mut elements)?
        } else {
            nft::load(&rules::skeleton(&own))?;
            Contents::new()
        };
        let held = netlink.addresses(link.index).await?;
        let addresses = held
            .iter()
            .filter(|held| is_held(held, &own))
            .map(IpNet::addr)
            .collect();
        Ok(Self {
            netlink,
            link,
            own,
            elements,
            contents,
            addresses,
        })
    }

    /// Makes the kernel as desired. Addresses come last, so that nobody is answered before the rules are
    /// there, and go first.
    pub(crate) async fn apply(&mut self, desired: &Desired) -> Result<(), BalancerError> {
        for address in self
            .addresses
            .difference(&desired.addresses)
            .copied()
            .collect::<Vec<_>>()
        {
            self.netlink
                .delete_address(self.link.index, host(address))
                .await?;
            self.addresses.remove(&address);
        }
        self.apply_rules(desired)?;
        for address in desired
            .addresses
            .difference(&self.addresses)
            .copied()
            .collect::<Vec<_>>()
        {
            if !self.own.contains(&address) {
                self.netlink
                    .set_address(self.link.index, host(address))
                    .await?;
            }
            self.addresses.insert(address);
            self.announce(address);
        }
        Ok(())
    }

    fn apply_rules(&mut self, desired: &Desired) -> Result<(), BalancerError> {
        let wanted = rules::contents(desired);
        let added = desired
            .rings
            .iter()
            .filter(|(name, _)| !self.contents.contains_key(*name));
        let text: String = added
            .map(|(name, ring)| rules::add_ring(name, ring))
            .collect();
        if !text.is_empty() {
            nft::load(&text)?;
        }
        self.elements.commit(&operations(&self.contents, &wanted))?;
        let is_gone = |set: &&String| !wanted.contains_key(*set) && !SETS.contains(&set.as_str());
        let text: String = self
            .contents
            .keys()
            .filter(is_gone)
            .map(|n| rules::delete_ring(n))
            .collect();
        if !text.is_empty() {
            nft::load(&text)?;
        }
        self.contents = wanted;
        Ok(())
    }

    /// Neighbours that knew another holder of the address forget it.
    fn announce(&self, address: IpAddr) {
        let Some(mac) = self.link.mac else { return };
        if let Err(error) = kernel::announce::announce(self.link.index, mac, address) {
            tracing::warn!(%address, %error, "cannot announce the address to the neighbours");
        }
    }
}

/// A single address on our link that is not the balancer's own is one that it holds for a Service.
fn is_held(address: &IpNet, own: &[IpAddr]) -> bool {
    address.prefix_len() == address.max_prefix_len() && !own.contains(&address.addr())
}

fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// What a predecessor's maps hold, the rings its services use included.
fn read_back(elements: &mut Elements) -> Result<Contents, BalancerError> {
    let mut contents = Contents::new();
    let mut rings = BTreeSet::new();
    for set in SETS {
        let held = dump(elements, set)?;
        for data in held.values() {
            if let Data::Goto(ring) = data {
                rings.insert(ring.to_string());
            }
        }
        contents.insert(set.to_owned(), held);
    }
    for ring in rings {
        let held = dump(elements, &ring)?;
        contents.insert(ring, held);
    }
    Ok(contents)
}

fn dump(elements: &mut Elements, set: &str) -> Result<BTreeMap<rules::Key, Data>, BalancerError> {
    let found = elements.dump(set)?;
    Ok(found
        .into_iter()
        .map(|element| ((element.key, element.key_end), element.data))
        .collect())
}

/// The operations that lead from what is there to what should be; an element whose data changes is deleted
/// and added in the same transaction. Rings come before the services that lead to them.
fn operations(held: &Contents, wanted: &Contents) -> Vec<Operation> {
    let nothing = BTreeMap::new();
    let (mut deletions, mut additions) = (Vec::new(), Vec::new());
    let sets: BTreeSet<&String> = held.keys().chain(wanted.keys()).collect();
    for set in sets {
        let (held, wanted) = (
            held.get(set).unwrap_or(&nothing),
            wanted.get(set).unwrap_or(&nothing),
        );
        let name = || set.clone().into();
        for (key, data) in held
            .iter()
            .filter(|(key, data)| wanted.get(*key) != Some(data))
        {
            deletions.push(Operation::Delete {
                set: name(),
                element: rules::element(key, data),
            });
        }
        for (key, data) in wanted
            .iter()
            .filter(|(key, data)| held.get(*key) != Some(data))
        {
            additions.push(Operation::Add {
                set: name(),
                element: rules::element(key, data),
            });
        }
    }
    deletions.extend(additions);
    deletions
}

#[cfg(test)]
mod tests;
