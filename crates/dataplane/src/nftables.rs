//! The nftables data plane: one table `inet fairway`, a fixed number of named maps, and chains per
//! number of endpoints, never per Service. Elements are all that ordinarily changes.
//!
//! Why this form: kube-proxy's chain and anonymous set per Service make a load quadratic inside
//! the kernel, while shared maps are flat and change in microseconds.

use crate::{Applied, Dataplane, Error, Rendered};
use elements::{Elements, Entry, elements};
use forwarding::{Change, ForwardingTable, Frontend, NodeRules, Route};
use hairpin::Hairpins;
use ids::Ids;
use kernel::nft::{self, Operation, WriteLock};
use skeleton::Group;
use std::collections::HashSet;

mod elements;
mod hairpin;
mod ids;
mod image;
mod maps;
mod skeleton;

/// The data plane in the network namespace of the thread that opened it.
pub struct Nftables {
    kernel: nft::Elements,
    lock: WriteLock,
    /// What is known of the kernel's state; `None` until it has been adopted.
    state: Option<State>,
}

/// What must be remembered between changes: everything else follows from the changes themselves.
#[derive(Default)]
struct State {
    ids: Ids,
    hairpins: Hairpins,
    /// Which groups of chains are there.
    groups: HashSet<Group>,
}

impl Nftables {
    /// Opens a way to the kernel, as the only one that writes the table: it waits in the calling thread for a
    /// predecessor that still does. Nothing is changed yet.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            kernel: nft::Elements::open(nft::INET, maps::TABLE)?,
            lock: WriteLock::take(maps::TABLE)?,
            state: None,
        })
    }

    /// The rules that are always there, as they are given to `nft`: for reviewers and operators.
    pub fn skeleton() -> String {
        skeleton::table() + &skeleton::hooks()
    }

    /// Chains that the routes need and that are not there yet come first, unused and so harmless.
    fn ensure_groups(&mut self, groups: &HashSet<Group>) -> Result<usize, Error> {
        let state = self.state.as_mut().ok_or(Error::NotAdopted)?;
        let missing: Vec<Group> = groups.difference(&state.groups).copied().collect();
        if missing.is_empty() {
            return Ok(0);
        }
        self.lock.load(&skeleton::groups(&missing))?;
        state.groups.extend(missing);
        Ok(1)
    }

    fn commit(&mut self, operations: &[Operation], texts: usize) -> Result<Applied, Error> {
        let transactions = self.kernel.commit(operations)?;
        Ok(Applied {
            operations: operations.len(),
            transactions,
            texts,
        })
    }

    fn change(&mut self, changes: &[Change]) -> Result<Applied, Error> {
        let mut texts = self.ensure_groups(&groups_of(changes))?;
        let state = self.state.as_mut().ok_or(Error::NotAdopted)?;
        let mut operations = Vec::new();
        for change in changes {
            match change {
                Change::Frontend {
                    frontend,
                    before,
                    after,
                } => {
                    let (before, after) = (before.as_deref(), after.as_deref());
                    state.frontend(*frontend, before, after, &mut operations);
                }
                Change::ClusterIp { address, present } => {
                    let entry = elements::cluster_ip(*address);
                    operations.push(entry.operation(*present));
                }
                Change::Node(rules) => {
                    self.lock.load(&skeleton::node(rules))?;
                    texts += 1;
                }
            }
        }
        self.commit(&operations, texts)
    }

    /// Makes sure that the skeleton of this very version is there. Another version's is replaced
    /// in one step, so that established connections go on; new ones miss the elements for as long
    /// as it takes to fill them in again.
    fn prepare(&mut self, node: &NodeRules) -> Result<(), Error> {
        if !self.kernel.table_exists()? {
            self.lock.load(&skeleton::table())?;
        } else if !self.kernel.chain_exists(&skeleton::version())? {
            self.lock.load(&(skeleton::remove() + &Self::skeleton()))?;
        }
        Ok(self.lock.load(&skeleton::node(node))?)
    }
}

impl Dataplane for Nftables {
    fn apply(&mut self, changes: &[Change]) -> Result<Applied, Error> {
        let applied = self.change(changes);
        if applied.is_err() {
            self.state = None;
        }
        applied
    }

    fn adopt(&mut self, table: &ForwardingTable) -> Result<Applied, Error> {
        self.state = None;
        self.prepare(&table.node)?;
        let found = image::read(&mut self.kernel)?;
        let mut state = State {
            ids: Ids::adopt(&found, table),
            ..State::default()
        };
        state.groups.extend(skeleton::ready_made());
        let wanted = state.render(table);
        state.ids.forget_former();
        self.state = Some(state);
        let needed = table
            .frontends
            .values()
            .flat_map(|route| skeleton::groups_of(route))
            .collect();
        let texts = self.ensure_groups(&needed)?;
        let operations = image::difference(&found.elements, &wanted);
        let applied = self.commit(&operations, texts + 1)?;
        self.lock.load(&skeleton::hooks())?;
        Ok(applied)
    }

    fn read_back(&mut self) -> Result<Rendered, Error> {
        Ok(image::describe(&image::read(&mut self.kernel)?))
    }

    fn clean_up(&mut self) -> Result<(), Error> {
        self.state = None;
        Ok(self.lock.load(&skeleton::remove())?)
    }
}

impl State {
    /// The operations that lead one frontend from one route to another.
    fn frontend(
        &mut self,
        frontend: Frontend,
        before: Option<&Route>,
        after: Option<&Route>,
        operations: &mut Vec<Operation>,
    ) {
        let old = before
            .map(|route| elements(frontend, route, &self.ids))
            .unwrap_or_default();
        after.inspect(|route| self.ids.acquire(route));
        let new = after
            .map(|route| elements(frontend, route, &self.ids))
            .unwrap_or_default();
        before.inspect(|route| self.ids.release(route));
        image::difference_of(&old, &new, operations);
        let hairpins = self.hairpins.replace(before, after);
        operations.extend(
            hairpins
                .into_iter()
                .map(|(entry, present)| entry.operation(present)),
        );
    }

    /// Every element that a table wants.
    fn render(&mut self, table: &ForwardingTable) -> Elements {
        let mut wanted = Elements::new();
        let mut add = |entry: Entry| {
            wanted.insert(entry.key, entry.data);
        };
        for (frontend, route) in &table.frontends {
            self.ids.acquire(route);
            elements(*frontend, route, &self.ids)
                .into_iter()
                .for_each(|(key, data)| add(Entry { key, data }));
            self.hairpins
                .replace(None, Some(route))
                .into_iter()
                .for_each(|(entry, _)| add(entry));
        }
        table
            .cluster_ips
            .iter()
            .for_each(|address| add(elements::cluster_ip(*address)));
        wanted
    }
}

fn groups_of(changes: &[Change]) -> HashSet<Group> {
    let routes = changes.iter().filter_map(|change| match change {
        Change::Frontend {
            after: Some(route), ..
        } => Some(route),
        _ => None,
    });
    routes
        .flat_map(|route| skeleton::groups_of(route))
        .collect()
}
