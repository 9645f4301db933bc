use serde_json::json;

use super::*;

fn created(metadata: &Value) -> Vec<String> {
    let object = json!({"metadata": metadata});
    texts(&new_object(&object, true, names::dns_label_name))
}

fn texts(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_is_needed_and_follows_the_kinds_rule() {
    let none = created(&json!({"namespace": "n"}));
    assert_eq!(
        none,
        ["metadata.name: Required value: name or generateName is required"]
    );
    let both = created(&json!({"namespace": "n", "generateName": "-ab", "name": "-abx"}));
    assert!(both[0].starts_with("metadata.generateName: Invalid value: \"-ab\""));
    assert!(both[1].starts_with("metadata.name: Invalid value: \"-abx\""));
}

#[test]
fn namespaces_belong_to_namespaced_kinds() {
    assert_eq!(
        created(&json!({"name": "a"})),
        ["metadata.namespace: Required value"]
    );
    let object = json!({"metadata": {"name": "a", "namespace": "n"}});
    let found = new_object(&object, false, names::dns_label_name);
    assert_eq!(
        texts(&found),
        ["metadata.namespace: Forbidden: not allowed on this type"]
    );
}

#[test]
fn owners_are_complete_and_one_controls() {
    let found = created(&json!({"name": "a", "namespace": "n", "ownerReferences": [{}]}));
    assert_eq!(found.len(), 4);
    assert_eq!(
        found[0],
        "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty"
    );
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u", "controller": true});
    let two = json!({"name": "a", "namespace": "n", "ownerReferences": [owner("p"), owner("q")]});
    let found = created(&two);
    assert!(found[0].ends_with("Found \"true\" in references for Pod/p and Pod/q"));
    let event = json!({"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"});
    let found = created(&json!({"name": "a", "namespace": "n", "ownerReferences": [event]}));
    assert!(found[0].ends_with("/v1, Kind=Event is disallowed from being an owner"));
}

#[test]
fn the_two_deleting_finalizers_exclude_each_other() {
    let found = created(&json!({"name": "a", "namespace": "n",
        "finalizers": ["orphan", "foregroundDeletion"]}));
    assert_eq!(
        found,
        [
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: \
          finalizer orphan and foregroundDeletion cannot be both set"
        ]
    );
}

#[test]
fn what_the_server_wrote_is_frozen() {
    let old = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "1",
        "creationTimestamp": "2020-01-01T00:00:00Z"}});
    assert!(update(&old, &old).is_empty());
    let new = json!({"metadata": {"name": "a", "uid": "v", "resourceVersion": "1",
        "creationTimestamp": null, "deletionTimestamp": "2020-01-01T00:00:00Z"}});
    assert_eq!(
        texts(&update(&new, &old)),
        [
            "metadata.uid: Invalid value: \"v\": field is immutable",
            "metadata.creationTimestamp: Invalid value: null: field is immutable",
            "metadata.deletionTimestamp: Invalid value: \"2020-01-01T00:00:00Z\": field is immutable",
        ]
    );
}

#[test]
fn a_dying_object_gets_no_new_finalizers() {
    let old = json!({"metadata": {"name": "a", "resourceVersion": "1", "finalizers": ["x/a"],
        "deletionTimestamp": "2020-01-01T00:00:00Z"}});
    let mut new = old.clone();
    new["metadata"]["finalizers"] = json!(["x/a", "x/c", "x/b"]);
    assert_eq!(
        texts(&update(&new, &old)),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being \
          deleted, found new finalizers []string{\"x/b\", \"x/c\"}"
        ]
    );
}

#[test]
fn bare_finalizers_are_refused_by_strategies_only() {
    let object =
        json!({"metadata": {"name": "a", "namespace": "n", "finalizers": ["kubernetes", "hold"]}});
    assert!(any_new_object(&object, true).is_empty());
    assert_eq!(
        texts(&new_object(&object, true, names::dns_label_name)),
        [
            "metadata.finalizers[1]: Invalid value: \"hold\": name is neither a standard finalizer name nor \
          is it fully qualified"
        ]
    );
}
