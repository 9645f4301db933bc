//! Who owns whom: all objects of all kinds, by their uid, with nothing but their metadata.

use std::collections::{BTreeSet, HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::ApiResource;

use crate::discovery::Kind;
use crate::key::Key;

/// So many uids of gone objects are remembered; it saves asking the server for an owner that was seen to go.
const REMEMBERED: usize = 10_000;

/// An object in the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) resource: ApiResource,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) revision: Option<String>,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) deleting: bool,
}

impl Node {
    pub(super) fn new(kind: &Kind, meta: ObjectMeta) -> Self {
        Self {
            resource: kind.resource.clone(),
            key: Key::new(
                meta.namespace.unwrap_or_default(),
                meta.name.unwrap_or_default(),
            ),
            uid: meta.uid.unwrap_or_default(),
            revision: meta.resource_version,
            owners: meta.owner_references.unwrap_or_default(),
            finalizers: meta.finalizers.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }

    /// Whether this object keeps the owner from going in a foreground deletion.
    pub(super) fn blocks(&self, owner: &str) -> bool {
        let mut owners = self.owners.iter();
        owners
            .any(|reference| reference.uid == owner && reference.block_owner_deletion == Some(true))
    }
}

/// All objects.
#[derive(Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
    gone: HashSet<String>,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<Node> {
        self.nodes.get(uid).cloned()
    }

    pub(super) fn dependents(&self, owner: &str) -> Vec<Node> {
        let uids = self.dependents.get(owner).into_iter().flatten();
        uids.filter_map(|uid| self.get(uid)).collect()
    }

    pub(super) fn of_kind(&self, resource: &ApiResource) -> Vec<String> {
        let of_kind = self.nodes.values().filter(|node| {
            node.resource.group == resource.group && node.resource.kind == resource.kind
        });
        of_kind.map(|node| node.uid.clone()).collect()
    }

    pub(super) fn is_gone(&self, uid: &str) -> bool {
        self.gone.contains(uid)
    }

    pub(super) fn note_gone(&mut self, uid: &str) {
        if self.gone.len() >= REMEMBERED {
            self.gone.clear();
        }
        self.gone.insert(uid.to_owned());
    }

    /// Takes an object in, as it is now; names those that have to be looked at.
    pub(super) fn put(&mut self, node: Node) -> Vec<String> {
        let uid = node.uid.clone();
        let owner_uids = |node: &Node| {
            node.owners
                .iter()
                .map(|owner| owner.uid.clone())
                .collect::<Vec<_>>()
        };
        let (owners, deleting) = (owner_uids(&node), node.deleting);
        let old = self.nodes.insert(uid.clone(), node);
        let old_owners = old.as_ref().map(owner_uids).unwrap_or_default();
        self.file(&uid, &old_owners, &owners);
        let mut look = Vec::new();
        // An object of living owners needs no look; most objects are such.
        let all_live = owners
            .iter()
            .all(|owner| self.nodes.get(owner).is_some_and(|owner| !owner.deleting));
        if deleting || (!owners.is_empty() && !all_live) {
            look.push(uid);
        }
        // Those that wait for this one may be done: it has other owners, or no longer blocks.
        let waiting = old_owners
            .into_iter()
            .filter(|owner| self.nodes.get(owner).is_some_and(|owner| owner.deleting));
        look.extend(waiting);
        look
    }

    /// Takes an object out; names those that have to be looked at: its dependents, and owners that waited for it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(node) = self.nodes.remove(uid) else {
            return Vec::new();
        };
        let owners: Vec<_> = node.owners.into_iter().map(|owner| owner.uid).collect();
        self.file(uid, &owners, &[]);
        self.note_gone(uid);
        let dependents = self.dependents.get(uid).into_iter().flatten().cloned();
        let waiting = owners
            .into_iter()
            .filter(|owner| self.nodes.get(owner).is_some_and(|owner| owner.deleting));
        dependents.chain(waiting).collect()
    }

    fn file(&mut self, uid: &str, old: &[String], new: &[String]) {
        for owner in old {
            if let Some(filed) = self.dependents.get_mut(owner) {
                filed.remove(uid);
                if filed.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        for owner in new {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(uid.to_owned());
        }
    }
}
