//! What all workers of a node share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kernel::Netlink;

use crate::address_pool::AddressPool;
use crate::config::Config;
use crate::events::Events;
use crate::image::ImageStore;
use crate::machine::Machine;
use crate::objects::Objects;
use crate::services::ServiceLinks;

/// What all workers of a node share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) netlink: Netlink,
    pub(crate) images: ImageStore,
    pub(crate) services: ServiceLinks,
    pub(crate) events: Events,
    pub(crate) machine: Machine,
    /// ConfigMaps and Secrets that pods mount.
    pub(crate) objects: Objects,
    addresses: Mutex<AddressPool>,
    /// Pods' uids by namespace and name.
    names: Mutex<HashMap<(String, String), String>>,
}

impl Context {
    /// A context without any pod range yet.
    pub(crate) fn new(
        config: Config,
        netlink: Netlink,
        images: ImageStore,
        events: Events,
    ) -> Self {
        let machine = Machine::read(&config.data_directory);
        Self {
            config,
            netlink,
            images,
            events,
            services: ServiceLinks::default(),
            machine,
            objects: Objects::default(),
            addresses: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// The pool of pods' addresses; held briefly.
    pub(crate) fn addresses(&self) -> MutexGuard<'_, AddressPool> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The uid of the newest pod of a name here.
    pub(crate) fn pod_uid(&self, namespace: &str, name: &str) -> Option<String> {
        let key = (namespace.to_owned(), name.to_owned());
        self.names().get(&key).cloned()
    }

    /// Remembers a pod's name.
    pub(crate) fn learn_name(&self, pod: &Pod) {
        let meta = &pod.metadata;
        let (Some(namespace), Some(name), Some(uid)) = (&meta.namespace, &meta.name, &meta.uid)
        else {
            return;
        };
        self.names()
            .insert((namespace.clone(), name.clone()), uid.clone());
    }

    /// Forgets the names of a pod.
    pub(crate) fn forget_name(&self, uid: &str) {
        self.names().retain(|_, known| known != uid);
    }

    fn names(&self) -> MutexGuard<'_, HashMap<(String, String), String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
