//! OpenAPI documents of the served kinds, made when somebody asks for them.
//!
//! What a field is comes from the schema table, what it is for from the descriptions in `k8s-openapi`.
//! kubectl needs of them: schemas with `x-kubernetes-group-version-kind` (explain), and operations with the
//! same and a `fieldValidation` parameter (validation by the server), `dryRun` (diff).

mod descriptions;
mod paths;
mod schemas;

use serde_json::{Map, Value, json};

use self::descriptions::Descriptions;
use self::schemas::Dialect;
use crate::resource::Resource;

/// Seed of the FNV-1a hash.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
/// Multiplier of the FNV-1a hash.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// `/openapi/v3`: where the documents are. The hash in an address changes when the document may have.
pub fn index(resources: &[Resource], version: &str) -> Value {
    let paths = group_versions(resources).into_iter().map(|path| {
        let hash = hash(&[version, &path, crate::schema::table::TEXT]);
        let address = format!("/openapi/v3/{path}?hash={hash:016X}");
        (path, json!({"serverRelativeURL": address}))
    });
    json!({"paths": paths.collect::<Map<_, _>>()})
}

/// Whether there is a document of a group and version.
pub fn has(resources: &[Resource], group_version: &str) -> bool {
    resources
        .iter()
        .any(|resource| path_of(resource) == group_version)
}

/// The document of a group and version: `api/v1`, `apis/apps/v1`.
pub fn v3(resources: &[Resource], group_version: &str, version: &str) -> Option<Value> {
    let ours: Vec<&Resource> = resources
        .iter()
        .filter(|resource| path_of(resource) == group_version)
        .collect();
    if ours.is_empty() {
        return None;
    }
    let dialect = Dialect::V3;
    let schemas = schemas::reachable(&ours, dialect, &Descriptions::of_k8s_openapi());
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths::all(&ours, dialect),
        "components": {"schemas": schemas},
    }))
}

/// `/openapi/v2`: everything in one document.
pub fn v2(resources: &[Resource], version: &str) -> Value {
    let all: Vec<&Resource> = resources.iter().collect();
    let dialect = Dialect::V2;
    let definitions = schemas::reachable(&all, dialect, &Descriptions::of_k8s_openapi());
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths::all(&all, dialect),
        "definitions": definitions,
    })
}

/// `api/v1`, `apis/apps/v1` of every served group and version.
fn group_versions(resources: &[Resource]) -> Vec<String> {
    let mut paths: Vec<String> = resources.iter().map(path_of).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn path_of(resource: &Resource) -> String {
    let root = if resource.group.is_empty() {
        "api"
    } else {
        "apis"
    };
    format!("{root}/{}", resource.api_version())
}

/// FNV-1a: the address only has to change with the content.
fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes());
    bytes.fold(FNV_OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

#[cfg(test)]
mod tests;
