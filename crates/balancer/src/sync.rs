//! Telling the kernel: the difference between what is there and what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use kernel::Netlink;
use kernel::netlink::Link;
use kernel::nft::{self, Data, Elements, Operation};

use crate::plan::{Desired, Ring};
use crate::rules::{self, Contents, Rules, Site, TABLE, hand_over, translate};
use crate::run::BalancerError;

/// The kernel as this balancer has left it.
pub(crate) struct Kernel {
    netlink: Netlink,
    link: Link,
    own: Vec<IpAddr>,
    translate: Table,
    hand_over: Table,
    addresses: BTreeSet<IpAddr>,
}

impl Kernel {
    /// Adopts what a predecessor left, or starts with empty rules.
    pub(crate) async fn adopt(interface: &str, own: Vec<IpAddr>) -> Result<Self, BalancerError> {
        let netlink = Netlink::here()?;
        let link = netlink.link(interface).await?;
        let site = Site {
            own: own.clone(),
            link: interface.to_owned(),
        };
        let translate = Table::adopt(&translate::RULES, &site)?;
        let hand_over = Table::adopt(&hand_over::RULES, &site)?;
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
            translate,
            hand_over,
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
                .delete_address(self.link.index, address.into())
                .await?;
            self.addresses.remove(&address);
        }
        self.translate.apply(desired, &desired.translated.rings)?;
        self.hand_over.apply(desired, &desired.handed_over.rings)?;
        for address in desired
            .addresses
            .difference(&self.addresses)
            .copied()
            .collect::<Vec<_>>()
        {
            if !self.own.contains(&address) {
                self.netlink
                    .set_address(self.link.index, address.into())
                    .await?;
            }
            self.addresses.insert(address);
            self.announce(address);
        }
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

/// One table in the kernel, and what it holds.
struct Table {
    rules: &'static Rules,
    elements: Elements,
    contents: Contents,
}

impl Table {
    fn adopt(rules: &'static Rules, site: &Site) -> Result<Self, BalancerError> {
        let mut elements = Elements::open(rules.family, TABLE)?;
        let contents = if elements.chain_exists(rules.version)? {
            read_back(&mut elements, rules)?
        } else {
            nft::load(&(rules.skeleton)(site))?;
            Contents::new()
        };
        Ok(Self {
            rules,
            elements,
            contents,
        })
    }

    /// New rings first, then all elements in one transaction, then the rings that nobody uses any more.
    fn apply(
        &mut self,
        desired: &Desired,
        rings: &BTreeMap<String, Ring>,
    ) -> Result<(), BalancerError> {
        let wanted = (self.rules.contents)(desired);
        let added = rings
            .iter()
            .filter(|(name, _)| !self.contents.contains_key(*name));
        load(added.map(|(name, ring)| (self.rules.add_ring)(name, ring)))?;
        self.elements.commit(&operations(&self.contents, &wanted))?;
        let gone = self
            .contents
            .keys()
            .filter(|set| !wanted.contains_key(*set));
        load(gone.map(|name| (self.rules.delete_ring)(name)))?;
        self.contents = wanted;
        Ok(())
    }
}

fn load(texts: impl Iterator<Item = String>) -> Result<(), BalancerError> {
    let text: String = texts.collect();
    if text.is_empty() {
        Ok(())
    } else {
        Ok(nft::load(&text)?)
    }
}

/// A single address on our link that is not the balancer's own is one that it holds for a Service.
fn is_held(address: &IpNet, own: &[IpAddr]) -> bool {
    address.prefix_len() == address.max_prefix_len() && !own.contains(&address.addr())
}

/// What a predecessor's maps hold, the rings its services use included.
fn read_back(elements: &mut Elements, rules: &Rules) -> Result<Contents, BalancerError> {
    let mut contents = Contents::new();
    let mut rings = BTreeSet::new();
    for set in rules.sets {
        let held = dump(elements, set)?;
        for data in held.values() {
            if let Data::Goto(ring) = data {
                rings.insert(ring.to_string());
            }
        }
        contents.insert((*set).to_owned(), held);
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
/// and added in the same transaction.
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
