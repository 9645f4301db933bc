//! From a path to what is meant (`apiserver/pkg/endpoints/request/requestinfo.go`).

use api::resource::Resource;
use api::resources;
use http::Method;

use crate::query::{Query, decode};

/// What a path means.
pub(crate) enum Route {
    /// Below `/api` or `/apis`: objects.
    Objects(Target),
    /// Below `/api` or `/apis`: a resource that is not served; the names are for the refusal's text.
    Unknown(Asked),
    /// Anything else, by its segments.
    Other(Vec<String>),
}

/// Objects of a served kind.
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    /// Empty for all namespaces, and for what has none.
    pub(crate) namespace: String,
    /// Empty for the collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

/// What was asked for, in the words of an authorizer.
pub(crate) struct Asked {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    /// As an authorizer names it.
    pub(crate) fn asked(&self) -> Asked {
        // A namespace lies, for an authorizer, in itself.
        let is_namespace = self.resource.plural == "namespaces" && self.resource.group.is_empty();
        let namespace = if is_namespace {
            &self.name
        } else {
            &self.namespace
        };
        Asked {
            group: self.resource.group.to_owned(),
            version: self.resource.version.to_owned(),
            resource: self.resource.plural.to_owned(),
            namespace: namespace.clone(),
            name: self.name.clone(),
            subresource: self.subresource.clone(),
        }
    }
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Route {
    let raw: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let segments: Vec<String> = raw
        .iter()
        .map(|part| decode(part, false).into_owned())
        .collect();
    let (group, version, rest) = match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["api", version, ..] if segments.len() > 2 => ("", version, 2),
        ["apis", group, version, ..] if segments.len() > 3 => (group, version, 3),
        _ => return Route::Other(segments),
    };
    let mut below: Vec<String> = segments[rest..].to_vec();
    if below.last().is_some_and(String::is_empty) {
        below.pop();
    }
    match object(group, version, &below) {
        Some(asked) => find(asked, &below),
        None => Route::Other(segments),
    }
}

fn object(group: &str, version: &str, below: &[String]) -> Option<Asked> {
    let (group, version) = (group.to_owned(), version.to_owned());
    let part = |at: usize| below.get(at).cloned().unwrap_or_default();
    let first = below.first()?;
    let is_namespace_itself = below.len() < 3 || matches!(below[2].as_str(), "status" | "finalize");
    let (namespace, at) = match first.as_str() {
        "namespaces" if is_namespace_itself => (String::new(), 0),
        "namespaces" => (part(1), 2),
        _ => (String::new(), 0),
    };
    Some(Asked {
        group,
        version,
        resource: part(at),
        namespace,
        name: part(at + 1),
        subresource: part(at + 2),
    })
}

fn find(asked: Asked, below: &[String]) -> Route {
    let found = resources::find(&asked.group, &asked.resource);
    let through_namespace =
        below.first().is_some_and(|first| first == "namespaces") && below.len() > 2;
    let fits = |resource: &&Resource| {
        let named = asked.namespace.is_empty() && !asked.name.is_empty();
        resource.version == asked.version
            && (!resource.namespaced || !named)
            && (resource.namespaced || asked.namespace.is_empty())
    };
    let Some(resource) = found.filter(fits) else {
        return Route::Unknown(asked);
    };
    let used = if through_namespace && resource.plural != "namespaces" {
        5
    } else {
        3
    };
    let rest: Vec<String> = below.iter().skip(used).cloned().collect();
    let declared = |name: &str| resource.subresources.iter().any(|sub| sub.name == name);
    if !asked.subresource.is_empty() && (!declared(&asked.subresource) || refuses(&asked, &rest)) {
        return Route::Unknown(asked);
    }
    Route::Objects(Target {
        resource,
        namespace: asked.namespace,
        name: asked.name,
        subresource: asked.subresource,
    })
}

/// Only `proxy` has paths below it.
fn refuses(asked: &Asked, rest: &[String]) -> bool {
    !rest.is_empty() && asked.subresource != "proxy"
}

/// The verb, in an authorizer's words.
pub(crate) fn verb(method: &Method, query: &Query, name: &str) -> &'static str {
    let watching = query.get("watch").is_some() && query.flag("watch") == Some(true);
    match (method.as_str(), name.is_empty()) {
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "deletecollection",
        ("DELETE", false) => "delete",
        (_, true) if watching => "watch",
        (_, true) => "list",
        (_, false) => "get",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> String {
        match route(path) {
            Route::Objects(t) => {
                format!(
                    "{} ns={} name={} sub={}",
                    t.resource.plural, t.namespace, t.name, t.subresource
                )
            }
            Route::Unknown(asked) => format!("unknown {}", asked.resource),
            Route::Other(segments) => format!("other {}", segments.join("/")),
        }
    }

    #[test]
    fn paths_name_objects() {
        let cases = [
            (
                "/api/v1/namespaces/n/pods/p/log",
                "pods ns=n name=p sub=log",
            ),
            (
                "/api/v1/namespaces/n/configmaps/",
                "configmaps ns=n name= sub=",
            ),
            (
                "/api/v1/namespaces//configmaps",
                "configmaps ns= name= sub=",
            ),
            ("/api/v1/configmaps", "configmaps ns= name= sub="),
            ("/api/v1/namespaces/n", "namespaces ns= name=n sub="),
            (
                "/api/v1/namespaces/n/finalize",
                "namespaces ns= name=n sub=finalize",
            ),
            ("/api/v1/nodes/a/status", "nodes ns= name=a sub=status"),
            ("/apis/apps/v1/deployments", "deployments ns= name= sub="),
            ("/apis/apps/v2/deployments", "unknown deployments"),
            (
                "/api/v1/namespaces/n/configmaps/a/status",
                "unknown configmaps",
            ),
            ("/api/v1/configmaps/a", "unknown configmaps"),
            ("/api/v1/nothings", "unknown nothings"),
            ("/api/v1", "other api/v1"),
            ("/api/v1/", "other api/v1/"),
            ("/healthz", "other healthz"),
        ];
        for (path, want) in cases {
            assert_eq!(told(path), want, "{path}");
        }
    }
}
