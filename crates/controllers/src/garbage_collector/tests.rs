//! Tables for what happens to an object whose owners go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ApiResource;

use super::graph::{Graph, Node};
use super::plan::{FOREGROUND, ORPHAN, Owner, plan};
use crate::key::Key;

fn reference(uid: &str, blocks: bool) -> OwnerReference {
    OwnerReference {
        uid: uid.to_owned(),
        block_owner_deletion: Some(blocks),
        ..OwnerReference::default()
    }
}

fn node(uid: &str, owners: &[&str], finalizers: &[&str], deleting: bool) -> Node {
    Node {
        resource: ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            plural: "pods".to_owned(),
        },
        key: Key::new("n", uid),
        uid: uid.to_owned(),
        revision: None,
        owners: owners.iter().map(|owner| reference(owner, true)).collect(),
        finalizers: finalizers.iter().map(|name| (*name).to_owned()).collect(),
        deleting,
    }
}

#[test]
fn objects_go_when_no_owner_stays() {
    use Owner::{Gone, Stays, Waits};
    let child = || vec![node("child", &["me"], &[], false)];
    let cases: Vec<(Node, Vec<Owner>, Vec<Node>, &str)> = vec![
        (node("me", &[], &[], false), vec![], vec![], "Nothing"),
        (
            node("me", &["a"], &[], false),
            vec![Stays],
            vec![],
            "Nothing",
        ),
        (
            node("me", &["a"], &[], false),
            vec![Gone],
            vec![],
            "Delete(Background)",
        ),
        (
            node("me", &["a", "b"], &[], false),
            vec![Stays, Gone],
            vec![],
            "Disown([\"b\"])",
        ),
        (
            node("me", &["a", "b"], &[], false),
            vec![Waits, Stays],
            vec![],
            "Disown([\"a\"])",
        ),
        (
            node("me", &["a"], &[], false),
            vec![Waits],
            vec![],
            "Delete(Background)",
        ),
        (
            node("me", &["a"], &[], false),
            vec![Waits],
            child(),
            "Delete(Foreground)",
        ),
        (
            node("me", &["a"], &[ORPHAN], false),
            vec![Gone],
            child(),
            "Delete(Orphan)",
        ),
        (node("me", &["a"], &[], true), vec![], child(), "Nothing"),
        (node("me", &[], &[ORPHAN], true), vec![], child(), "Orphan"),
        (
            node("me", &[], &[FOREGROUND], true),
            vec![],
            child(),
            "Look([\"child\"])",
        ),
        (
            node("me", &[], &[FOREGROUND], true),
            vec![],
            vec![],
            "Unfinalize(\"foregroundDeletion\")",
        ),
    ];
    for (node, standings, dependents, expected) in cases {
        let owners: Vec<_> = node.owners.iter().cloned().zip(standings.clone()).collect();
        assert_eq!(
            format!("{:?}", plan(&node, &owners, &dependents)),
            expected,
            "{node:?} {standings:?}"
        );
    }
}

#[test]
fn a_dependent_that_does_not_block_is_not_waited_for() {
    let mut lingering = node("child", &["me"], &[], true);
    lingering.owners = vec![reference("me", false)];
    let step = plan(&node("me", &[], &[FOREGROUND], true), &[], &[lingering]);
    assert_eq!(format!("{step:?}"), "Unfinalize(\"foregroundDeletion\")");
}

#[test]
fn the_graph_names_whom_a_change_concerns() {
    let mut graph = Graph::default();
    assert!(graph.put(node("owner", &[], &[], false)).is_empty());
    assert!(
        graph.put(node("child", &["owner"], &[], false)).is_empty(),
        "its owner lives"
    );
    assert_eq!(
        graph.put(node("stray", &["unknown"], &[], false)),
        ["stray"]
    );
    assert_eq!(
        graph.put(node("owner", &[], &[FOREGROUND], true)),
        ["owner"]
    );
    assert_eq!(graph.remove("child"), ["owner"], "the owner waited");
    graph.put(node("child", &["owner"], &[], false));
    assert_eq!(graph.remove("owner"), ["child"]);
    assert!(graph.is_gone("owner"));
}
