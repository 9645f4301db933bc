//! `metadata.managedFields` as a map from managers to what they own, and back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::Set;
use crate::schema::print::go_quote;

/// More entries by updates are merged into one.
const MAX_UPDATE_MANAGERS: usize = 10;
/// The manager of merged entries.
const ANCIENT: &str = "ancient-changes";

/// Who owns fields, and by which way of writing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) applied: bool,
    pub(super) name: String,
    /// Empty for an applier, which stays the same through versions.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Manager {
    pub(super) fn new(applied: bool, name: &str, api_version: &str, subresource: &str) -> Self {
        let name = if name.is_empty() { "unknown" } else { name };
        let api_version = if applied { "" } else { api_version };
        Self {
            applied,
            name: name.to_owned(),
            api_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
        }
    }

    /// Sorts as upstream's identifier does, which is the entry as JSON: by name, appliers first.
    pub(super) fn identifier(&self) -> (String, bool, &str, &str) {
        let name = go_quote(&self.name);
        (name, !self.applied, &self.api_version, &self.subresource)
    }

    /// As conflicts name it: `"web" with subresource "status" using v1`.
    pub(super) fn shown(&self) -> String {
        let mut text = go_quote(&self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(
                " with subresource {}",
                go_quote(&self.subresource)
            ));
        }
        if !self.applied {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned {
    pub(super) set: Set,
    pub(super) api_version: String,
    /// When it last wrote; an applier that changed nothing has none.
    pub(super) time: Option<String>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Managers(pub(super) BTreeMap<Manager, Owned>);

impl Managers {
    /// Reads `metadata.managedFields`; the error is what a faulty entry gets.
    pub(super) fn read(entries: &[Value]) -> Result<Self, String> {
        let mut managers = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            let applied = match text("operation") {
                "Apply" => true,
                "Update" => false,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            if text("apiVersion").is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match text("fieldsType") {
                "FieldsV1" => {}
                "" => {
                    return Err(format!(
                        "missing fieldsType in managed fields entry {index}"
                    ));
                }
                other => {
                    let other = go_quote(other);
                    return Err(format!(
                        "invalid fieldsType {other} in managed fields entry {index}"
                    ));
                }
            }
            let fields = entry.get("fieldsV1").cloned().unwrap_or_else(|| json!({}));
            let set = Set::from_json(&fields).ok_or("error decoding set")?;
            let manager = Manager {
                applied,
                name: text("manager").to_owned(),
                api_version: if applied { "" } else { text("apiVersion") }.to_owned(),
                subresource: text("subresource").to_owned(),
            };
            let owned = Owned {
                set,
                api_version: text("apiVersion").to_owned(),
                time: entry["time"].as_str().map(str::to_owned),
            };
            managers.insert(manager, owned);
        }
        Ok(Self(managers))
    }

    /// As `metadata.managedFields`, appliers first, then by time.
    pub(super) fn write(&self) -> Vec<Value> {
        let mut entries: Vec<(&Manager, &Owned)> = self.0.iter().collect();
        entries.sort_by_key(|(manager, owned)| {
            (
                !manager.applied,
                &owned.time,
                &manager.name,
                &owned.api_version,
                &manager.subresource,
            )
        });
        entries
            .into_iter()
            .map(|(manager, owned)| entry(manager, owned))
            .collect()
    }

    /// Gives up the oldest entries by updates, when there are too many, to one entry per version.
    pub(super) fn cap(&mut self) {
        let mut updates: Vec<(Option<String>, Manager)> = self
            .0
            .iter()
            .filter(|(manager, _)| !manager.applied)
            .map(|(manager, owned)| (owned.time.clone(), manager.clone()))
            .collect();
        updates.sort();
        let mut count = updates.len();
        let mut firsts: BTreeMap<String, Manager> = BTreeMap::new();
        for (time, manager) in updates {
            if count <= MAX_UPDATE_MANAGERS {
                return;
            }
            let version = manager.api_version.clone();
            // The first of a version stays as it is until there is a second to be merged with.
            let Some(first) = firsts.get(&version) else {
                firsts.insert(version, manager);
                continue;
            };
            self.merge_ancient(first, &manager, time);
            count -= 1;
        }
    }

    fn merge_ancient(&mut self, first: &Manager, manager: &Manager, time: Option<String>) {
        let ancient = Manager::new(false, ANCIENT, &manager.api_version, "");
        if *manager == ancient {
            return;
        }
        if !self.0.contains_key(&ancient)
            && let Some(owned) = self.0.remove(first)
        {
            self.0.insert(ancient.clone(), owned);
        }
        if let (Some(more), Some(owned)) = (self.0.remove(manager), self.0.get_mut(&ancient)) {
            owned.set = owned.set.union(&more.set);
            owned.time = time;
        }
    }
}

fn entry(manager: &Manager, owned: &Owned) -> Value {
    let mut entry = Map::new();
    let operation = if manager.applied { "Apply" } else { "Update" };
    entry.insert("operation".to_owned(), operation.into());
    entry.insert("fieldsType".to_owned(), "FieldsV1".into());
    entry.insert("fieldsV1".to_owned(), owned.set.to_json());
    let texts = [
        ("manager", Some(&manager.name)),
        ("apiVersion", Some(&owned.api_version)),
        ("subresource", Some(&manager.subresource)),
        ("time", owned.time.as_ref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            entry.insert(name.to_owned(), text.clone().into());
        }
    }
    entry.into()
}
