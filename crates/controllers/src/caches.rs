//! The caches that controllers share: each kind is watched once, and only if somebody asks for it.

use std::sync::{Mutex, OnceLock, PoisonError};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, ResourceQuota, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::task::JoinSet;

use crate::cache::{Cache, Object, no_index};

/// The label that ties a slice to its Service.
pub(crate) const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// All caches of the process. Dropped, it ends their watches.
pub(crate) struct Caches {
    client: Client,
    watches: Mutex<JoinSet<()>>,
    config_maps: OnceLock<Cache<ConfigMap>>,
    deployments: OnceLock<Cache<Deployment>>,
    disruption_budgets: OnceLock<Cache<PodDisruptionBudget>>,
    endpoint_slices: OnceLock<Cache<EndpointSlice>>,
    endpoints: OnceLock<Cache<Endpoints>>,
    leases: OnceLock<Cache<Lease>>,
    namespaces: OnceLock<Cache<Namespace>>,
    nodes: OnceLock<Cache<Node>>,
    pods: OnceLock<Cache<Pod>>,
    replica_sets: OnceLock<Cache<ReplicaSet>>,
    resource_quotas: OnceLock<Cache<ResourceQuota>>,
    service_accounts: OnceLock<Cache<ServiceAccount>>,
    service_cidrs: OnceLock<Cache<ServiceCIDR>>,
    services: OnceLock<Cache<Service>>,
}

impl Caches {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            watches: Mutex::new(JoinSet::new()),
            config_maps: OnceLock::new(),
            deployments: OnceLock::new(),
            disruption_budgets: OnceLock::new(),
            endpoint_slices: OnceLock::new(),
            endpoints: OnceLock::new(),
            leases: OnceLock::new(),
            namespaces: OnceLock::new(),
            nodes: OnceLock::new(),
            pods: OnceLock::new(),
            replica_sets: OnceLock::new(),
            resource_quotas: OnceLock::new(),
            service_accounts: OnceLock::new(),
            service_cidrs: OnceLock::new(),
            services: OnceLock::new(),
        }
    }

    /// Only those that the root CA publisher looks after: other ConfigMaps may be large and many.
    pub(crate) fn root_ca_config_maps(&self) -> &Cache<ConfigMap> {
        let config = watcher::Config::default().fields("metadata.name=kube-root-ca.crt");
        self.config_maps
            .get_or_init(|| self.start(no_index, config))
    }

    pub(crate) fn deployments(&self) -> &Cache<Deployment> {
        self.plain(&self.deployments)
    }

    pub(crate) fn disruption_budgets(&self) -> &Cache<PodDisruptionBudget> {
        self.plain(&self.disruption_budgets)
    }

    /// Filed under `namespace/service`.
    pub(crate) fn endpoint_slices(&self) -> &Cache<EndpointSlice> {
        self.endpoint_slices
            .get_or_init(|| self.start(service_of_slice, watcher::Config::default()))
    }

    pub(crate) fn endpoints(&self) -> &Cache<Endpoints> {
        self.plain(&self.endpoints)
    }

    /// The nodes' leases only.
    pub(crate) fn node_leases(&self) -> &Cache<Lease> {
        self.leases.get_or_init(|| {
            let cache = Cache::new(no_index);
            let api = Api::namespaced(self.client.clone(), "kube-node-lease");
            self.keep(&cache, api, watcher::Config::default());
            cache
        })
    }

    pub(crate) fn namespaces(&self) -> &Cache<Namespace> {
        self.plain(&self.namespaces)
    }

    pub(crate) fn nodes(&self) -> &Cache<Node> {
        self.plain(&self.nodes)
    }

    /// Filed under their controller's uid or as [`orphans`], and under their [node](node_word).
    pub(crate) fn pods(&self) -> &Cache<Pod> {
        self.pods
            .get_or_init(|| self.start(owner_and_node_of_pod, watcher::Config::default()))
    }

    /// Filed under their controller's uid, or as [`orphans`].
    pub(crate) fn replica_sets(&self) -> &Cache<ReplicaSet> {
        self.replica_sets
            .get_or_init(|| self.start(owner_or_orphan, watcher::Config::default()))
    }

    pub(crate) fn resource_quotas(&self) -> &Cache<ResourceQuota> {
        self.plain(&self.resource_quotas)
    }

    pub(crate) fn service_accounts(&self) -> &Cache<ServiceAccount> {
        self.plain(&self.service_accounts)
    }

    pub(crate) fn service_cidrs(&self) -> &Cache<ServiceCIDR> {
        self.plain(&self.service_cidrs)
    }

    pub(crate) fn services(&self) -> &Cache<Service> {
        self.plain(&self.services)
    }

    fn plain<'a, K>(&'a self, slot: &'a OnceLock<Cache<K>>) -> &'a Cache<K>
    where
        K: Object + Resource<DynamicType = ()>,
    {
        slot.get_or_init(|| self.start(no_index, watcher::Config::default()))
    }

    fn start<K>(&self, index: fn(&K) -> Vec<String>, config: watcher::Config) -> Cache<K>
    where
        K: Object + Resource<DynamicType = ()>,
    {
        let cache = Cache::new(index);
        self.keep(&cache, Api::all(self.client.clone()), config);
        cache
    }

    fn keep<K: Object>(&self, cache: &Cache<K>, api: Api<K>, config: watcher::Config) {
        let cache = cache.clone();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.spawn(async move { cache.follow(api, config).await });
    }
}

fn service_of_slice(slice: &EndpointSlice) -> Vec<String> {
    let labels = slice.metadata.labels.as_ref();
    let name = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL));
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    name.map(|name| format!("{namespace}/{name}"))
        .into_iter()
        .collect()
}

/// The word under which pods of a node are filed.
pub(crate) fn node_word(node: &str) -> String {
    format!("node/{node}")
}

/// The word under which objects of a namespace without a controller are filed.
pub(crate) fn orphans(namespace: &str) -> String {
    format!("orphans/{namespace}")
}

fn owner_or_orphan<K: Resource>(object: &K) -> Vec<String> {
    let meta = object.meta();
    match crate::owner::controller_of(meta) {
        Some(owner) => vec![owner.uid.clone()],
        None => vec![orphans(meta.namespace.as_deref().unwrap_or_default())],
    }
}

fn owner_and_node_of_pod(pod: &Pod) -> Vec<String> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let mut words = owner_or_orphan(pod);
    words.extend(node.map(node_word));
    words
}
