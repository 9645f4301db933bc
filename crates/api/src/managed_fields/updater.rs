//! What an update or an apply does to the managers' sets (`structured-merge-diff/merge`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Comparison, equal};
use super::conflict::Conflicts;
use super::managers::{Manager, Managers, Owned};
use super::set::Set;
use super::shape::Shape;
use super::{fields, merge};

/// A write to an object, as the sets see it.
pub(super) struct Write<'a> {
    pub(super) shape: Shape,
    /// The object before, without managed fields.
    pub(super) live: &'a Value,
    /// Paths that the endpoint resets: nobody comes to own them.
    pub(super) ignored: &'a Set,
    pub(super) api_version: &'a str,
}

impl Write<'_> {
    /// After an update: the changed paths that the writer now owns; all others lose them.
    pub(super) fn update(&self, new: &Value, managers: &mut Managers) -> Set {
        let changes = self.changes(new);
        self.take_from_others(&changes, managers, None);
        let owned = changes.modified.union(&changes.added);
        owned.without_all_below(self.ignored)
    }

    /// After an apply: the merged object, or nothing when the live one was so already.
    pub(super) fn apply(
        &self,
        config: &Value,
        managers: &mut Managers,
        manager: &Manager,
        force: bool,
    ) -> Result<Option<Value>, Conflicts> {
        let merged = merge::merge(self.shape, Some(self.live), Some(config));
        let merged = merged.unwrap_or(Value::Null);
        let set = fields::of(self.shape, config).without_all_below(self.ignored);
        let before = managers.0.get(manager).cloned();
        let owned = Owned {
            set,
            api_version: self.api_version.to_owned(),
            time: before.as_ref().and_then(|before| before.time.clone()),
        };
        managers.0.insert(manager.clone(), owned);
        let new = match before {
            Some(before) if !before.set.is_empty() => self.prune(&merged, managers, &before.set),
            _ => merged,
        };
        let changes = self.changes(&new);
        let conflicts = conflicts(&changes, managers, manager);
        if !force && !conflicts.is_empty() {
            return Err(Conflicts(conflicts.into_iter().collect()));
        }
        self.take_from_others(&changes, managers, Some(manager));
        Ok((!equal(self.live, &new)).then_some(new))
    }

    fn changes(&self, new: &Value) -> Comparison {
        Comparison::of(self.shape, self.live, new).without(self.ignored)
    }

    /// Changed and removed paths are no longer another's.
    fn take_from_others(
        &self,
        changes: &Comparison,
        managers: &mut Managers,
        writer: Option<&Manager>,
    ) {
        let gone = changes
            .modified
            .union(&changes.added)
            .union(&changes.removed);
        let group = group(self.api_version);
        managers.0.retain(|manager, owned| {
            if Some(manager) != writer {
                if self::group(&owned.api_version) != group {
                    return false;
                }
                owned.set = owned.set.difference(&gone);
            }
            !owned.set.is_empty()
        });
    }

    /// Takes out what the manager applied before and does not any more, unless another owns it.
    fn prune(&self, merged: &Value, managers: &Managers, last: &Set) -> Value {
        let named = |set: &Set| set.with_parents(self.shape, &Shape::step);
        let set_of = |value: &Value| named(&fields::of(self.shape, value));
        let last = named(last);
        let pruned = merge::remove(self.shape, merged, &last);
        let merged_set = set_of(merged);
        let all = managers
            .0
            .values()
            .fold(Set::default(), |all, owned| all.union(&owned.set));
        let kept = set_of(&pruned).union(&named(&all));
        let pruned = merge::remove(self.shape, merged, &merged_set.difference(&kept));
        let dangling = merged_set.difference(&set_of(&pruned)).intersection(&last);
        merge::remove(self.shape, merged, &dangling)
    }
}

/// What others own of the changed paths.
fn conflicts(
    changes: &Comparison,
    managers: &Managers,
    writer: &Manager,
) -> BTreeMap<Manager, Set> {
    let changed = changes.modified.union(&changes.added);
    let others = managers.0.iter().filter(|(manager, _)| *manager != writer);
    let sets = others.map(|(manager, owned)| (manager.clone(), owned.set.intersection(&changed)));
    sets.filter(|(_, set)| !set.is_empty()).collect()
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
