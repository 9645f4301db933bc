//! Groups, versions and kinds that the decoder knows, and their names in the schema table.

/// Groups with the Go package of their types.
const GROUPS: &[(&str, &str)] = &[
    ("", "core"),
    ("apps", "apps"),
    ("authentication.k8s.io", "authentication"),
    ("authorization.k8s.io", "authorization"),
    ("autoscaling", "autoscaling"),
    ("batch", "batch"),
    ("coordination.k8s.io", "coordination"),
    ("discovery.k8s.io", "discovery"),
    ("events.k8s.io", "events"),
    ("networking.k8s.io", "networking"),
    ("policy", "policy"),
    ("rbac.authorization.k8s.io", "rbac"),
    ("scheduling.k8s.io", "scheduling"),
];

/// Groups whose older versions a real server still decodes; the kinds look the same there.
const OLDER_VERSIONS: &[(&str, &[&str])] = &[
    ("apps", &["v1beta1", "v1beta2"]),
    ("coordination.k8s.io", &["v1beta1"]),
    ("discovery.k8s.io", &["v1beta1"]),
    ("events.k8s.io", &["v1beta1"]),
    ("networking.k8s.io", &["v1beta1"]),
];

/// Kinds that every group has (`metav1.AddToGroupVersion`).
const META_KINDS: &[&str] = &["DeleteOptions"];

/// Kinds that only `v1` has, whatever group they are answered for (`metav1.Unversioned`).
const UNVERSIONED: &[&str] = &["Status"];

/// The group's name and version in one: `v1`, `apps/v1`.
pub(super) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// Whether there is such a group, the one of the API machinery included.
pub(super) fn is_group(group: &str) -> bool {
    group == "meta.k8s.io" || GROUPS.iter().any(|(known, _)| *known == group)
}

/// The name in the schema table of a group's kind.
pub(crate) fn definition_of(group: &str, version: &str, kind: &str) -> Option<String> {
    let (_, package) = GROUPS.iter().find(|(known, _)| *known == group)?;
    let older = OLDER_VERSIONS.iter().find(|(known, _)| *known == group);
    if version != "v1" && !older.is_some_and(|(_, versions)| versions.contains(&version)) {
        return None;
    }
    let unversioned = group.is_empty() && UNVERSIONED.contains(&kind);
    if unversioned || META_KINDS.contains(&kind) {
        return Some(format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"));
    }
    let name = format!("io.k8s.api.{package}.v1.{kind}");
    let known = super::table::definition(&name)?;
    let is_kind = known.field("apiVersion").is_some() && known.field("kind").is_some();
    let reference = matches!(kind, "ObjectReference");
    (is_kind && !reference).then_some(name)
}

/// The Go type of a kind inside the server: `core.Service`.
pub(super) fn internal_type(definition: &str) -> String {
    let mut parts = definition.rsplit('.');
    let kind = parts.next().unwrap_or_default();
    let package = parts.nth(1).unwrap_or_default();
    let package = if package == "events" { "core" } else { package };
    format!("{package}.{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_group_and_version() {
        let service = definition_of("", "v1", "Service");
        assert_eq!(service.as_deref(), Some("io.k8s.api.core.v1.Service"));
        assert_eq!(definition_of("apps", "v1", "Service"), None);
        assert_eq!(definition_of("", "v1", "ServicePort"), None);
        assert_eq!(definition_of("", "v2", "Service"), None);
        assert!(definition_of("coordination.k8s.io", "v1beta1", "Lease").is_some());
        assert_eq!(internal_type("io.k8s.api.core.v1.Service"), "core.Service");
    }
}
