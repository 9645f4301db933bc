//! The list of served kinds. A further kind is one more entry here.

use crate::config_map::ConfigMap;
use crate::deployment::Deployment;
use crate::disruption_budget::DisruptionBudget;
use crate::endpoint_slice::EndpointSlice;
use crate::endpoints::Endpoints;
use crate::event::Event;
use crate::ip_address::IpAddress;
use crate::lease::Lease;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::plain::Plain;
use crate::pod::Pod;
use crate::pod_template::PodTemplate;
use crate::priority_class::PriorityClass;
use crate::replica_set::ReplicaSet;
use crate::resource::{ALL_VERBS, Resource, Subresource, Verb};
use crate::resource_quota::ResourceQuota;
use crate::secret::Secret;
use crate::service::Service;
use crate::service_account::ServiceAccount;
use crate::service_cidr::ServiceCidr;

/// Every served kind, in discovery's order: by group, then by plural name.
pub fn all() -> &'static [Resource] {
    RESOURCES
}

/// The kind with this plural name in this group.
pub fn find(group: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|resource| resource.group == group && resource.plural == plural)
}

/// Verbs of the subresources that are read and written like objects.
const GET_PATCH_UPDATE: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

/// What a proxying subresource takes.
const PROXY_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::Get,
    Verb::Patch,
    Verb::Update,
];

const fn own(name: &'static str, verbs: &'static [Verb]) -> Subresource {
    Subresource {
        name,
        kind: None,
        verbs,
    }
}

const fn of(
    name: &'static str,
    kind: (&'static str, &'static str, &'static str),
    verbs: &'static [Verb],
) -> Subresource {
    Subresource {
        name,
        kind: Some(kind),
        verbs,
    }
}

const STATUS: Subresource = own("status", GET_PATCH_UPDATE);
const SCALE: Subresource = of("scale", ("autoscaling", "v1", "Scale"), GET_PATCH_UPDATE);

/// What the entries have in common, for `..NAMESPACED`.
const NAMESPACED: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    definition: "",
    strategy: &Plain,
};

const CLUSTER: Resource = Resource {
    namespaced: false,
    ..NAMESPACED
};

static RESOURCES: &[Resource] = &[
    Resource {
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        definition: "io.k8s.api.core.v1.ConfigMap",
        strategy: &ConfigMap,
        ..NAMESPACED
    },
    Resource {
        kind: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        short_names: &["ep"],
        definition: "io.k8s.api.core.v1.Endpoints",
        strategy: &Endpoints,
        ..NAMESPACED
    },
    Resource {
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        definition: "io.k8s.api.core.v1.Event",
        strategy: &Event,
        ..NAMESPACED
    },
    Resource {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        verbs: &[
            Verb::Create,
            Verb::Delete,
            Verb::Get,
            Verb::List,
            Verb::Patch,
            Verb::Update,
            Verb::Watch,
        ],
        subresources: &[own("finalize", &[Verb::Update]), STATUS],
        definition: "io.k8s.api.core.v1.Namespace",
        strategy: &Namespace,
        ..CLUSTER
    },
    Resource {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        subresources: &[
            of("proxy", ("", "", "NodeProxyOptions"), PROXY_VERBS),
            STATUS,
        ],
        definition: "io.k8s.api.core.v1.Node",
        strategy: &Node,
        ..CLUSTER
    },
    Resource {
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        subresources: POD_SUBRESOURCES,
        definition: "io.k8s.api.core.v1.Pod",
        strategy: &Pod,
        ..NAMESPACED
    },
    Resource {
        kind: "PodTemplate",
        plural: "podtemplates",
        singular: "podtemplate",
        definition: "io.k8s.api.core.v1.PodTemplate",
        strategy: &PodTemplate,
        ..NAMESPACED
    },
    Resource {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        singular: "resourcequota",
        short_names: &["quota"],
        subresources: &[STATUS],
        definition: "io.k8s.api.core.v1.ResourceQuota",
        strategy: &ResourceQuota,
        ..NAMESPACED
    },
    Resource {
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        definition: "io.k8s.api.core.v1.Secret",
        strategy: &Secret,
        ..NAMESPACED
    },
    Resource {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        subresources: &[of(
            "token",
            ("authentication.k8s.io", "v1", "TokenRequest"),
            &[Verb::Create],
        )],
        definition: "io.k8s.api.core.v1.ServiceAccount",
        strategy: &ServiceAccount,
        ..NAMESPACED
    },
    Resource {
        kind: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        subresources: &[
            of("proxy", ("", "", "ServiceProxyOptions"), PROXY_VERBS),
            STATUS,
        ],
        definition: "io.k8s.api.core.v1.Service",
        strategy: &Service,
        ..NAMESPACED
    },
    Resource {
        group: "apps",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &[SCALE, STATUS],
        definition: "io.k8s.api.apps.v1.Deployment",
        strategy: &Deployment,
        ..NAMESPACED
    },
    Resource {
        group: "apps",
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short_names: &["rs"],
        categories: &["all"],
        subresources: &[SCALE, STATUS],
        definition: "io.k8s.api.apps.v1.ReplicaSet",
        strategy: &ReplicaSet,
        ..NAMESPACED
    },
    Resource {
        group: "networking.k8s.io",
        kind: "IPAddress",
        plural: "ipaddresses",
        singular: "ipaddress",
        short_names: &["ip"],
        definition: "io.k8s.api.networking.v1.IPAddress",
        strategy: &IpAddress,
        ..CLUSTER
    },
    Resource {
        group: "networking.k8s.io",
        kind: "ServiceCIDR",
        plural: "servicecidrs",
        singular: "servicecidr",
        subresources: &[STATUS],
        definition: "io.k8s.api.networking.v1.ServiceCIDR",
        strategy: &ServiceCidr,
        ..CLUSTER
    },
    Resource {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short_names: &["pdb"],
        subresources: &[STATUS],
        definition: "io.k8s.api.policy.v1.PodDisruptionBudget",
        strategy: &DisruptionBudget,
        ..NAMESPACED
    },
    Resource {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        plural: "priorityclasses",
        singular: "priorityclass",
        short_names: &["pc"],
        definition: "io.k8s.api.scheduling.v1.PriorityClass",
        strategy: &PriorityClass,
        ..CLUSTER
    },
    Resource {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        definition: "io.k8s.api.coordination.v1.Lease",
        strategy: &Lease,
        ..NAMESPACED
    },
    Resource {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        definition: "io.k8s.api.discovery.v1.EndpointSlice",
        strategy: &EndpointSlice,
        ..NAMESPACED
    },
];

const CREATE_GET: &[Verb] = &[Verb::Create, Verb::Get];

const POD_SUBRESOURCES: &[Subresource] = &[
    of("attach", ("", "", "PodAttachOptions"), CREATE_GET),
    of("binding", ("", "", "Binding"), &[Verb::Create]),
    own("ephemeralcontainers", GET_PATCH_UPDATE),
    of("eviction", ("policy", "v1", "Eviction"), &[Verb::Create]),
    of("exec", ("", "", "PodExecOptions"), CREATE_GET),
    own("log", &[Verb::Get]),
    of("portforward", ("", "", "PodPortForwardOptions"), CREATE_GET),
    of("proxy", ("", "", "PodProxyOptions"), PROXY_VERBS),
    own("resize", GET_PATCH_UPDATE),
    STATUS,
];
