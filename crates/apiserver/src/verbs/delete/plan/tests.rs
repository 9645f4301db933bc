use api::resources;

use super::*;

fn object(metadata: &Value) -> Value {
    json!({"metadata": metadata})
}

fn finalizers(plan: &Plan) -> String {
    match plan {
        Plan::Nothing => "nothing".to_owned(),
        Plan::Remove(_) => "removed".to_owned(),
        Plan::Mark(object) | Plan::MarkFirst(object) => {
            object["metadata"]["finalizers"].to_string()
        }
    }
}

#[test]
fn propagation_becomes_a_finalizer() {
    let kind = resources::find("", "configmaps").unwrap();
    let policy = |text: &str| DeleteOptions {
        propagation: Some(text.to_owned()),
        ..Default::default()
    };
    let cases = [
        (json!({}), DeleteOptions::default(), "removed"),
        (json!({}), policy("Background"), "removed"),
        (json!({}), policy("Foreground"), "[\"foregroundDeletion\"]"),
        (json!({}), policy("Orphan"), "[\"orphan\"]"),
        (
            json!({"finalizers": ["a/b"]}),
            policy("Orphan"),
            "[\"a/b\",\"orphan\"]",
        ),
        (
            json!({"finalizers": ["orphan"]}),
            policy("Background"),
            "removed",
        ),
        (
            json!({"finalizers": ["orphan"]}),
            DeleteOptions::default(),
            "[\"orphan\"]",
        ),
        (
            json!({"finalizers": ["a/b"]}),
            DeleteOptions::default(),
            "[\"a/b\"]",
        ),
    ];
    for (metadata, options, want) in cases {
        let plan = plan(kind, &object(&metadata), &options, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(finalizers(&plan), want, "{metadata} {options:?}");
    }
}

#[test]
fn what_is_held_is_marked_once() {
    let kind = resources::find("", "configmaps").unwrap();
    let old = object(&json!({"finalizers": ["a/b"], "generation": 1}));
    let options = DeleteOptions::default();
    let Plan::Mark(marked) = plan(kind, &old, &options, Timestamp::UNIX_EPOCH).unwrap() else {
        panic!("it has a finalizer");
    };
    assert_eq!(
        marked["metadata"]["deletionTimestamp"],
        "1970-01-01T00:00:00Z"
    );
    assert_eq!(marked["metadata"]["generation"], 2);
    let later = Timestamp::from_second(60).unwrap();
    assert_eq!(
        plan(kind, &marked, &options, later).unwrap(),
        Plan::Mark(marked)
    );
}

#[test]
fn a_precondition_that_does_not_hold_is_a_conflict() {
    let kind = resources::find("", "configmaps").unwrap();
    let old = object(&json!({"name": "a", "uid": "1", "resourceVersion": "5"}));
    for (uid, version, code) in [
        ("1", "5", None),
        ("2", "5", Some(409)),
        ("1", "4", Some(409)),
    ] {
        let options = DeleteOptions {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..Default::default()
        };
        let refused = plan(kind, &old, &options, Timestamp::UNIX_EPOCH).err();
        assert_eq!(refused.map(|status| status.code), code);
    }
}

#[test]
fn a_namespace_goes_with_the_second_deletion() {
    let kind = resources::find("", "namespaces").unwrap();
    let old =
        json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {}});
    let options = DeleteOptions::default();
    let Plan::Mark(marked) = plan(kind, &old, &options, Timestamp::UNIX_EPOCH).unwrap() else {
        panic!("the first only marks");
    };
    assert_eq!(marked["status"]["phase"], "Terminating");
    let held = plan(kind, &marked, &options, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(held, Plan::Nothing);
    let mut free = marked;
    free["spec"] = json!({});
    let gone = plan(kind, &free, &options, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(gone, Plan::Remove(free));
}
