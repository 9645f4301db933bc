//! What Kubernetes serves and this server does not: whoever asks is told so by name, and still finds
//! a "not found", which clients know how to live with.

use api::status::Status;
use serde_json::json;

use crate::routes::Asked;

/// By group, the plural names.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "componentstatuses",
            "limitranges",
            "persistentvolumeclaims",
            "persistentvolumes",
            "replicationcontrollers",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ],
    ),
    ("apiextensions.k8s.io", &["customresourcedefinitions"]),
    ("apiregistration.k8s.io", &["apiservices"]),
    (
        "apps",
        &["controllerrevisions", "daemonsets", "statefulsets"],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("certificates.k8s.io", &["certificatesigningrequests"]),
    ("events.k8s.io", &["events"]),
    (
        "networking.k8s.io",
        &["ingressclasses", "ingresses", "networkpolicies"],
    ),
    ("node.k8s.io", &["runtimeclasses"]),
    (
        "rbac.authorization.k8s.io",
        &[
            "clusterrolebindings",
            "clusterroles",
            "rolebindings",
            "roles",
        ],
    ),
    (
        "storage.k8s.io",
        &[
            "csidrivers",
            "csinodes",
            "storageclasses",
            "volumeattachments",
        ],
    ),
];

/// Whether Kubernetes has a group of this name.
pub(crate) fn is_group(group: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == group)
}

/// The refusal, if it is a resource of Kubernetes'.
pub(crate) fn refusal(asked: &Asked) -> Option<Status> {
    let (group, plurals) = KNOWN.iter().find(|(group, _)| *group == asked.group)?;
    if !plurals.contains(&asked.resource.as_str()) {
        return None;
    }
    let dot = if group.is_empty() { "" } else { "." };
    let text = format!(
        "this server (Fairway {}) does not serve {}{dot}{group} yet",
        env!("CARGO_PKG_VERSION"),
        asked.resource,
    );
    Some(Status::new(404, "NotFound", text).with_details(json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(group: &str, resource: &str) -> Asked {
        Asked {
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            namespace: "default".to_owned(),
            name: String::new(),
            subresource: String::new(),
        }
    }

    #[test]
    fn a_resource_of_kubernetes_is_refused_by_its_name_and_others_are_unknown() {
        let refused = refusal(&asked("autoscaling", "horizontalpodautoscalers")).unwrap();
        let text = refused.body().to_string();
        assert!(
            text.contains("does not serve horizontalpodautoscalers.autoscaling yet"),
            "{text}"
        );
        assert!(refusal(&asked("", "limitranges")).is_some());
        assert!(refusal(&asked("", "dogs")).is_none());
        assert!(refusal(&asked("example.com", "jobs")).is_none());
    }

    #[test]
    fn what_is_served_is_not_in_the_list() {
        for (group, plurals) in KNOWN {
            for plural in *plurals {
                assert!(
                    api::resources::find(group, plural).is_none(),
                    "{plural}.{group}"
                );
            }
        }
    }
}
