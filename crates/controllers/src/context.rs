//! What every controller is given.

use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

use crate::caches::Caches;
use crate::config::Config;
use crate::recorder::Recorder;

/// Shared by all controllers of the process.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) caches: Arc<Caches>,
    pub(crate) recorder: Recorder,
    pub(crate) config: Arc<Config>,
}

impl Context {
    /// The objects of a kind in a namespace.
    pub(crate) fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The objects of a cluster-wide kind.
    pub(crate) fn cluster<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }
}
