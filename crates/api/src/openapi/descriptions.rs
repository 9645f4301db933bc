//! What fields are for, in the words of Kubernetes' own documentation, from `k8s-openapi`'s schemas.

use k8s_openapi::api::{
    apps::v1 as apps, authentication::v1 as authentication, authorization::v1 as authorization,
    autoscaling::v1 as autoscaling, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, networking::v1 as networking,
    policy::v1 as policy, scheduling::v1 as scheduling,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Descriptions by definition and field.
pub(super) struct Descriptions(Map<String, Value>);

macro_rules! schemas_of {
    ($($kind:ty),* $(,)?) => {{
        let mut generator = SchemaSettings::openapi3().into_generator();
        $(generator.subschema_for::<$kind>();)*
        generator.take_definitions(false)
    }};
}

impl Descriptions {
    /// Those of all kinds that may be served.
    pub(super) fn of_k8s_openapi() -> Self {
        Self(schemas_of!(
            core::Namespace,
            core::Node,
            core::Pod,
            core::Binding,
            core::Service,
            core::Endpoints,
            core::Event,
            core::ConfigMap,
            core::Secret,
            core::ServiceAccount,
            discovery::EndpointSlice,
            networking::ServiceCIDR,
            networking::IPAddress,
            apps::Deployment,
            apps::ReplicaSet,
            autoscaling::Scale,
            events::Event,
            coordination::Lease,
            authorization::SelfSubjectAccessReview,
            authorization::SubjectAccessReview,
            authorization::LocalSubjectAccessReview,
            authorization::SelfSubjectRulesReview,
            authentication::SelfSubjectReview,
            authentication::TokenReview,
            authentication::TokenRequest,
            policy::Eviction,
            core::PodTemplate,
            scheduling::PriorityClass,
            meta::DeleteOptions,
            meta::Status,
            meta::ListMeta,
        ))
    }

    /// Of a struct.
    pub(super) fn of(&self, definition: &str) -> Option<&str> {
        self.0.get(definition)?["description"].as_str()
    }

    /// Of a struct's field.
    pub(super) fn of_field(&self, definition: &str, field: &str) -> Option<&str> {
        self.0.get(definition)?["properties"][field]["description"].as_str()
    }
}
