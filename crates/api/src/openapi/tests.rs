use std::collections::BTreeSet;

use super::*;
use crate::resources;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "$ref" => {
                        found.insert(text.to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_group_version_has_a_document_whose_references_resolve() {
    let index = index(resources::all(), "v1.36.0");
    for path in index["paths"].as_object().unwrap().keys() {
        let document = v3(resources::all(), path, "v1.36.0").unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} of {path}");
        }
    }
    assert_eq!(v3(resources::all(), "apis/none/v1", "v1.36.0"), None);
}

#[test]
fn explain_finds_kinds_and_descriptions() {
    let document = v3(resources::all(), "api/v1", "v1.36.0").unwrap();
    let schemas = &document["components"]["schemas"];
    let service = &schemas["io.k8s.api.core.v1.Service"];
    let gvk = json!([{"group": "", "version": "v1", "kind": "Service"}]);
    assert_eq!(service["x-kubernetes-group-version-kind"], gvk);
    let reference = json!([{"$ref": "#/components/schemas/io.k8s.api.core.v1.ServiceSpec"}]);
    assert_eq!(service["properties"]["spec"]["allOf"], reference);
    let spec = &schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"];
    let ports = &spec["ports"];
    assert!(
        ports["description"]
            .as_str()
            .is_some_and(|text| text.len() > 20)
    );
    assert_eq!(ports["x-kubernetes-list-type"], "map");
    assert_eq!(
        ports["x-kubernetes-list-map-keys"],
        json!(["port", "protocol"])
    );
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "port");
    assert_eq!(ports["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(spec["selector"]["x-kubernetes-map-type"], "atomic");
    let port = &schemas["io.k8s.api.core.v1.ServicePort"];
    assert_eq!(port["required"], json!(["port"]));
    assert_eq!(port["properties"]["port"]["format"], "int32");
}

#[test]
fn kubectl_finds_that_the_server_validates() {
    let document = v3(resources::all(), "api/v1", "v1.36.0").unwrap();
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"];
    let gvk = json!({"group": "", "version": "v1", "kind": "Service"});
    assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
    let parameters = patch["parameters"].as_array().unwrap();
    for name in ["fieldValidation", "dryRun"] {
        assert!(
            parameters
                .iter()
                .any(|one| one["name"] == name && one["in"] == "query")
        );
    }
}

#[test]
fn version_2_has_everything_in_one_document() {
    let document = v2(resources::all(), "v1.36.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert!(
        document["definitions"]
            .get("io.k8s.api.apps.v1.Deployment")
            .is_some()
    );
}
