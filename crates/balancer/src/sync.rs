//! Telling the kernel: the difference between what is there and what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use kernel::Netlink;
use kernel::netlink::Link;
use kernel::nft::{Data, Elements, Operation, WriteLock};
use tokio::task::spawn_blocking;

use crate::plan::{Desired, Mark};
use crate::rules::{self, Contents, Rules, Site, TABLE, hand_over, translate};
use crate::run::BalancerError;

/// The kernel as this balancer has left it.
pub(crate) struct Kernel {
    netlink: Netlink,
    link: Link,
    own: Vec<IpAddr>,
    /// Away while a blocking thread works with them.
    tables: Option<Tables>,
    addresses: BTreeSet<IpAddr>,
}

/// The rules.
struct Tables {
    lock: WriteLock,
    translate: Table,
    hand_over: Table,
}

impl Kernel {
    /// Adopts what a predecessor left, when it writes no more, or starts with empty rules.
    pub(crate) async fn adopt(interface: &str, own: Vec<IpAddr>) -> Result<Self, BalancerError> {
        let lock = in_blocking_thread(|| WriteLock::take(TABLE)).await?;
        Self::with_lock(lock, interface, own).await
    }

    /// Does the same once more, after a failure.
    pub(crate) async fn adopt_again(&mut self, interface: &str) -> Result<(), BalancerError> {
        let lock = self.take_tables().lock;
        *self = Self::with_lock(lock, interface, self.own.clone()).await?;
        Ok(())
    }

    async fn with_lock(
        lock: WriteLock,
        interface: &str,
        own: Vec<IpAddr>,
    ) -> Result<Self, BalancerError> {
        let netlink = Netlink::here()?;
        let link = netlink.link(interface).await?;
        let site = Site {
            own: own.clone(),
            link: interface.to_owned(),
        };
        let recorded = translate::held(&mut Elements::open(translate::RULES.family, TABLE)?);
        let tables = Tables {
            translate: Table::adopt(&translate::RULES, &site, &lock)?,
            hand_over: Table::adopt(&hand_over::RULES, &site, &lock)?,
            lock,
        };
        let there = netlink.addresses(link.index).await?;
        let there = there.iter().map(IpNet::addr);
        Ok(Self {
            addresses: there.filter(|address| recorded.contains(address)).collect(),
            netlink,
            link,
            own,
            tables: Some(tables),
        })
    }

    /// Makes the kernel as desired. Addresses come last, so that nobody is answered before the rules are
    /// there, and go first.
    pub(crate) async fn apply(&mut self, desired: &Arc<Desired>) -> Result<(), BalancerError> {
        for address in missing(&self.addresses, &desired.addresses) {
            self.netlink
                .delete_address(self.link.index, address.into())
                .await?;
            self.addresses.remove(&address);
        }
        self.apply_rules(Arc::clone(desired)).await?;
        for address in missing(&desired.addresses, &self.addresses) {
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

    /// In a thread that may wait: the checks of the nodes go on meanwhile.
    async fn apply_rules(&mut self, desired: Arc<Desired>) -> Result<(), BalancerError> {
        let mut tables = self.take_tables();
        let work = move || {
            let applied = tables.apply(&desired);
            (tables, applied)
        };
        let (tables, applied) = in_blocking_thread(work).await;
        self.tables = Some(tables);
        applied
    }

    fn take_tables(&mut self) -> Tables {
        self.tables
            .take()
            .expect("the tables are back after each change")
    }

    /// Neighbours that knew another holder of the address forget it.
    fn announce(&self, address: IpAddr) {
        let Some(mac) = self.link.mac else { return };
        if let Err(error) = kernel::announce::announce(self.link.index, mac, address) {
            tracing::warn!(%address, %error, "cannot announce the address to the neighbours");
        }
    }
}

impl Tables {
    fn apply(&mut self, desired: &Arc<Desired>) -> Result<(), BalancerError> {
        self.translate.apply(desired, &self.lock)?;
        self.hand_over.apply(desired, &self.lock)
    }
}

async fn in_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// What the one set has and the other has not.
fn missing(from: &BTreeSet<IpAddr>, other: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    from.difference(other).copied().collect()
}

/// One table in the kernel, and what it holds.
struct Table {
    rules: &'static Rules,
    elements: Elements,
    held: Held,
}

/// What a table holds.
enum Held {
    /// What a predecessor left.
    Found { contents: Contents, rings: Rings },
    /// What we made from this.
    Made(Arc<Desired>),
}

/// The slots of each ring.
type Rings = BTreeMap<String, Vec<Mark>>;

/// No node has this mark: the slot is empty.
const EMPTY: Mark = 0;

impl Table {
    fn adopt(rules: &'static Rules, site: &Site, lock: &WriteLock) -> Result<Self, BalancerError> {
        let mut elements = Elements::open(rules.family, TABLE)?;
        let mut contents = Contents::new();
        let mut rings = Rings::new();
        if elements.chain_exists(rules.version)? {
            contents = read_back(&mut elements, rules)?;
            rings = read_back_rings(&mut elements, &contents)?;
        } else {
            lock.load(&(rules.skeleton)(site))?;
        }
        Ok(Self {
            rules,
            elements,
            held: Held::Found { contents, rings },
        })
    }

    /// New rings first, then all elements in one transaction, then the rings that nobody uses any more.
    fn apply(&mut self, desired: &Arc<Desired>, lock: &WriteLock) -> Result<(), BalancerError> {
        let rings = &(self.rules.spread)(desired).rings;
        let added = rings.iter().filter(|(name, _)| self.ring(name).is_none());
        load(
            lock,
            added.map(|(name, ring)| (self.rules.add_ring)(name, ring)),
        )?;
        let operations = self.operations(desired);
        self.elements.commit(&operations)?;
        let gone = self.ring_names().filter(|name| !rings.contains_key(*name));
        load(lock, gone.map(|name| (self.rules.delete_ring)(name)))?;
        self.held = Held::Made(Arc::clone(desired));
        Ok(())
    }

    /// What leads from what is there to what should be.
    fn operations(&self, desired: &Desired) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (name, ring) in &(self.rules.spread)(desired).rings {
            let held = self.ring(name).unwrap_or_default();
            // A ring that was not computed again is the same one.
            if !std::ptr::eq(held, &raw const ring.slots[..]) {
                slot_operations(name, held, &ring.slots, &mut operations);
            }
        }
        operations.extend(match &self.held {
            Held::Found { contents, .. } => set_operations(contents, &self.rules.contents(desired)),
            Held::Made(before) => {
                let [before, after] = self.rules.difference(before, desired);
                set_operations(&before, &after)
            }
        });
        operations
    }

    /// The slots of a ring, if there is one of that name.
    fn ring(&self, name: &str) -> Option<&[Mark]> {
        match &self.held {
            Held::Found { rings, .. } => rings.get(name).map(Vec::as_slice),
            Held::Made(before) => {
                let ring = (self.rules.spread)(before).rings.get(name);
                ring.map(|ring| ring.slots.as_slice())
            }
        }
    }

    fn ring_names(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match &self.held {
            Held::Found { rings, .. } => Box::new(rings.keys()),
            Held::Made(before) => Box::new((self.rules.spread)(before).rings.keys()),
        }
    }
}

fn load(lock: &WriteLock, texts: impl Iterator<Item = String>) -> Result<(), BalancerError> {
    let text: String = texts.collect();
    if text.is_empty() {
        Ok(())
    } else {
        Ok(lock.load(&text)?)
    }
}

/// What a predecessor's maps hold.
fn read_back(elements: &mut Elements, rules: &Rules) -> Result<Contents, BalancerError> {
    let mut contents = Contents::new();
    for set in rules.sets {
        let found = elements.dump(set)?.into_iter();
        let held = found.map(|element| ((element.key, element.key_end), element.data));
        contents.insert((*set).to_owned(), held.collect());
    }
    Ok(contents)
}

/// The rings that a predecessor's services use.
fn read_back_rings(elements: &mut Elements, contents: &Contents) -> Result<Rings, BalancerError> {
    // Other maps lead to further chains of the same rings.
    let services = contents
        .iter()
        .filter(|(set, _)| set.starts_with("services"));
    let data = services.flat_map(|(_, elements)| elements.values());
    let used: BTreeSet<String> = data
        .filter_map(|data| match data {
            Data::Goto(ring) => Some(ring.to_string()),
            _ => None,
        })
        .collect();
    let mut rings = Rings::new();
    for ring in used {
        let mut slots = Vec::new();
        for element in elements.dump(&ring)? {
            if let (Some(slot), Data::Value(mark)) = (number(&element.key), &element.data) {
                let slot = slot as usize;
                slots.resize(slots.len().max(slot + 1), EMPTY);
                slots[slot] = number(mark).unwrap_or(EMPTY);
            }
        }
        rings.insert(ring, slots);
    }
    Ok(rings)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// The operations that lead a ring from slots to slots: first what goes, then what comes.
fn slot_operations(name: &str, held: &[Mark], wanted: &[Mark], operations: &mut Vec<Operation>) {
    let at = |slots: &[Mark], slot: usize| slots.get(slot).copied().unwrap_or(EMPTY);
    let changed: Vec<usize> = (0..held.len().max(wanted.len()))
        .filter(|slot| at(held, *slot) != at(wanted, *slot))
        .collect();
    let element = |slots, slot: usize| {
        let mark = Some(at(slots, slot)).filter(|mark| *mark != EMPTY)?;
        let slot = u32::try_from(slot).expect("a ring has some thousands of slots");
        Some(rules::slot(slot, mark))
    };
    let set = || name.to_owned().into();
    let gone = changed.iter().filter_map(|slot| element(held, *slot));
    operations.extend(gone.map(|element| Operation::Delete {
        set: set(),
        element,
    }));
    let come = changed.iter().filter_map(|slot| element(wanted, *slot));
    operations.extend(come.map(|element| Operation::Add {
        set: set(),
        element,
    }));
}

/// The operations that lead the other maps and sets from contents to contents; an element whose data changes
/// is deleted and added in the same transaction.
fn set_operations(held: &Contents, wanted: &Contents) -> Vec<Operation> {
    let nothing = BTreeMap::new();
    let (mut deletions, mut additions) = (Vec::new(), Vec::new());
    let sets: BTreeSet<&String> = held.keys().chain(wanted.keys()).collect();
    for name in sets {
        let (held, wanted) = (
            held.get(name).unwrap_or(&nothing),
            wanted.get(name).unwrap_or(&nothing),
        );
        let set = || name.clone().into();
        let gone = held
            .iter()
            .filter(|(key, data)| wanted.get(*key) != Some(data));
        deletions.extend(gone.map(|(key, data)| Operation::Delete {
            set: set(),
            element: rules::element(key, data),
        }));
        let come = wanted
            .iter()
            .filter(|(key, data)| held.get(*key) != Some(data));
        additions.extend(come.map(|(key, data)| Operation::Add {
            set: set(),
            element: rules::element(key, data),
        }));
    }
    deletions.extend(additions);
    deletions
}

#[cfg(test)]
mod tests;
