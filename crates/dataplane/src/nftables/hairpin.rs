//! Which local endpoints some frontend leads to, counted: several frontends share them.

use super::elements::{Entry, hairpin};
use forwarding::{Action, Route};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// How many frontends lead to each local endpoint's address.
#[derive(Default)]
pub(super) struct Hairpins {
    counts: HashMap<IpAddr, usize>,
}

impl Hairpins {
    /// Counts one frontend's change and says which elements come (`true`) and go.
    pub(super) fn replace(
        &mut self,
        before: Option<&Route>,
        after: Option<&Route>,
    ) -> Vec<(Entry, bool)> {
        let (old, new) = (locals(before), locals(after));
        let mut changed = Vec::new();
        for address in new.difference(&old) {
            let count = self.counts.entry(*address).or_default();
            *count += 1;
            if *count == 1 {
                changed.push((hairpin(*address), true));
            }
        }
        for address in old.difference(&new) {
            let count = self.counts.entry(*address).or_insert(1);
            *count -= 1;
            if *count == 0 {
                self.counts.remove(address);
                changed.push((hairpin(*address), false));
            }
        }
        changed
    }
}

fn locals(route: Option<&Route>) -> BTreeSet<IpAddr> {
    let Some(Action::Deliver(delivery)) = route.map(|route| &route.action) else {
        return BTreeSet::new();
    };
    let outsiders = delivery.outsiders.iter().flat_map(|targets| targets.iter());
    let all = delivery.targets.iter().chain(outsiders);
    all.filter(|target| target.local)
        .map(|target| target.address)
        .collect()
}
