//! Tables for mirrored slices.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Endpoints;
use serde_json::{Value, json};

use super::plan::{plan, should_mirror};

fn endpoints(meta: &Value, subsets: &Value) -> Endpoints {
    let mut whole =
        json!({"metadata": {"name": "web", "namespace": "n", "uid": "e"}, "subsets": subsets});
    for (key, value) in meta.as_object().unwrap() {
        whole["metadata"][key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

#[test]
fn one_slice_for_each_family_with_what_the_object_carries() {
    let meta = json!({"labels": {"a": "b"}, "annotations": {"note": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"}});
    let subsets = json!([{"addresses": [{"ip": "10.1.0.1", "hostname": "one", "nodeName": "n"}, {"ip": "fd00::1"}],
        "notReadyAddresses": [{"ip": "10.1.0.2"}], "ports": [{"port": 80, "protocol": "TCP"}]}]);
    let (changes, notes) = plan(&endpoints(&meta, &subsets), &[]);
    assert!(notes.is_empty());
    let types: Vec<_> = changes
        .create
        .iter()
        .map(|slice| slice.address_type.as_str())
        .collect();
    assert_eq!(types, ["IPv4", "IPv6"]);
    let four = &changes.create[0];
    assert_eq!(four.metadata.annotations.as_ref().unwrap().len(), 1);
    assert_eq!(four.metadata.labels.as_ref().unwrap()["a"], "b");
    let ready: Vec<_> = four
        .endpoints
        .iter()
        .flatten()
        .map(|one| one.conditions.as_ref().unwrap().ready)
        .collect();
    assert_eq!(ready, [Some(true), Some(false)]);
}

#[test]
fn a_mirror_settles_and_follows_in_place() {
    let one = endpoints(
        &json!({}),
        &json!([{"addresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 80}]}]),
    );
    let (changes, _) = plan(&one, &[]);
    let mut made = changes.create.into_iter().next().unwrap();
    made.metadata.name = Some("web-x".to_owned());
    let made = [Arc::new(made)];
    let (changes, _) = plan(&one, &made);
    assert_eq!(
        (
            changes.create.len(),
            changes.update.len(),
            changes.delete.len()
        ),
        (0, 0, 0)
    );
    let moved = endpoints(
        &json!({}),
        &json!([{"addresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 81}]}]),
    );
    let (changes, _) = plan(&moved, &made);
    assert_eq!(
        (
            changes.create.len(),
            changes.update.len(),
            changes.delete.len()
        ),
        (0, 1, 0)
    );
    let (changes, _) = plan(&endpoints(&json!({}), &json!([])), &made);
    assert_eq!(changes.delete.len(), 1);
}

#[test]
fn some_are_not_mirrored() {
    let cases = [
        (json!({}), true),
        (
            json!({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}),
            false,
        ),
        (
            json!({"labels": {"endpointslice.kubernetes.io/skip-mirror": "false"}}),
            true,
        ),
        (
            json!({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}),
            false,
        ),
    ];
    for (meta, expected) in cases {
        assert_eq!(
            should_mirror(&endpoints(&meta, &json!([]))),
            expected,
            "{meta}"
        );
    }
}

#[test]
fn what_cannot_be_mirrored_is_told() {
    let many: Vec<_> = (0..1001)
        .map(|n| json!({"ip": format!("10.1.{}.{}", n / 250, n % 250)}))
        .collect();
    let (_, notes) = plan(
        &endpoints(
            &json!({}),
            &json!([{"addresses": many, "ports": [{"port": 1}]}]),
        ),
        &[],
    );
    assert_eq!(notes[0].reason, "TooManyAddressesToMirror");
    assert!(
        notes[0].message.ends_with("1 addresses were skipped"),
        "{}",
        notes[0].message
    );
}
