//! Where objects lie in the store: `/registry/<group>/<plural>/[<namespace>/]<name>`.

use api::resource::Resource;
use bytes::Bytes;

/// What every key starts with, so that one watch follows them all.
pub const ROOT: &str = "/";

/// What is no object but belongs to some (claims on node ports): under `/internal/`.
pub const INTERNAL: &str = "/internal/";

/// The key of an object; `namespace` is empty for what has none.
pub fn object(resource: &Resource, namespace: &str, name: &str) -> Bytes {
    let prefix = kind(resource);
    if resource.namespaced {
        format!("{prefix}{namespace}/{name}").into()
    } else {
        format!("{prefix}{name}").into()
    }
}

/// What all keys of a kind start with.
pub fn kind(resource: &Resource) -> String {
    let group = if resource.group.is_empty() {
        "core"
    } else {
        resource.group
    };
    format!("/registry/{group}/{}/", resource.plural)
}
