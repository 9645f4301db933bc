use proptest::prelude::*;

use super::*;

const CONFIG_MAP: Kind<'_> = Kind {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    definition: "io.k8s.api.core.v1.ConfigMap",
};
const SERVICE: Kind<'_> = Kind {
    group: "",
    version: "v1",
    kind: "Service",
    definition: "io.k8s.api.core.v1.Service",
};
const POD: Kind<'_> = Kind {
    group: "",
    version: "v1",
    kind: "Pod",
    definition: "io.k8s.api.core.v1.Pod",
};

fn writer(manager: &str) -> Writer<'_> {
    Writer {
        manager,
        api_version: "v1",
        subresource: "",
        now: Timestamp::from_second(1_700_000_000).unwrap(),
        reset: &["status"],
    }
}

fn decoded(kind: &Kind<'_>, body: &Value) -> Value {
    let body = body.to_string();
    let decoded = schema::decode(
        kind,
        schema::Format::Json,
        body.as_bytes(),
        Validation::Strict,
    );
    decoded.unwrap().object
}

fn created(kind: &Kind<'_>, body: &Value, manager: &str) -> Value {
    let mut object = decoded(kind, body);
    update(kind.definition, None, &mut object, &writer(manager));
    object
}

fn updated(kind: &Kind<'_>, old: &Value, change: impl FnOnce(&mut Value), manager: &str) -> Value {
    let mut new = old.clone();
    change(&mut new);
    schema::normalise(kind.definition, &mut new);
    update(kind.definition, Some(old), &mut new, &writer(manager));
    new
}

fn applied(
    kind: &Kind<'_>,
    old: Option<&Value>,
    body: &Value,
    by: (&str, bool),
) -> Result<Value, Status> {
    let mut body = body.clone();
    body["apiVersion"] = "v1".into();
    body["kind"] = kind.kind.into();
    let options = ApplyOptions {
        force: by.1,
        validation: Validation::Warn,
    };
    let body = body.to_string();
    apply(kind, old, body.as_bytes(), options, &writer(by.0)).map(|applied| applied.object)
}

fn entries(object: &Value) -> Vec<(String, Value)> {
    let entries = managed_fields(object).iter();
    let name = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("manager"), text("operation"))
    };
    entries
        .map(|entry| (name(entry), entry["fieldsV1"].clone()))
        .collect()
}

fn entry(name: &str, fields: Value) -> (String, Value) {
    (name.to_owned(), fields)
}

#[test]
fn a_creator_owns_what_it_sent_and_nothing_of_the_common_metadata() {
    let body =
        json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v", "empty": ""}});
    let object = created(&CONFIG_MAP, &body, "golden");
    let fields = json!({
        "f:data": {".": {}, "f:empty": {}, "f:k": {}},
        "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
    });
    assert_eq!(entries(&object), [entry("golden Update", fields)]);
    let whole = &managed_fields(&object)[0];
    assert_eq!(whole["time"], "2023-11-14T22:13:20Z");
    assert_eq!(
        (&whole["fieldsType"], &whole["apiVersion"]),
        (&"FieldsV1".into(), &"v1".into())
    );
    let bare = created(&CONFIG_MAP, &json!({"metadata": {"name": "a"}}), "golden");
    assert_eq!(bare["metadata"].get("managedFields"), None);
}

#[test]
fn list_members_are_owned_by_their_keys_and_empty_structs_are_owned() {
    let body =
        json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}});
    let object = created(&SERVICE, &body, "me");
    let port = json!({".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}});
    let key = r#"k:{"port":80,"protocol":"TCP"}"#;
    let fields = json!({"f:spec": {"f:ports": {".": {}, key: port}}});
    assert_eq!(entries(&object), [entry("me Update", fields)]);
    let body = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}});
    let object = created(&POD, &body, "me");
    let container = json!({".": {}, "f:name": {}, "f:resources": {}});
    let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": container}}});
    assert_eq!(entries(&object), [entry("me Update", fields)]);
}

#[test]
fn an_update_takes_what_it_changes_and_nobody_owns_what_is_gone() {
    let object = created(
        &CONFIG_MAP,
        &json!({"metadata": {"name": "a"}, "data": {"k": "v", "l": "w"}}),
        "one",
    );
    let object = updated(
        &CONFIG_MAP,
        &object,
        |new| new["data"]["k"] = "other".into(),
        "two",
    );
    let expected = [
        entry("one Update", json!({"f:data": {".": {}, "f:l": {}}})),
        entry("two Update", json!({"f:data": {"f:k": {}}})),
    ];
    assert_eq!(entries(&object), expected);
    let object = updated(
        &CONFIG_MAP,
        &object,
        |new| new["data"] = json!({"k": "other"}),
        "three",
    );
    let expected = [
        entry("one Update", json!({"f:data": {}})),
        entry("two Update", json!({"f:data": {"f:k": {}}})),
    ];
    assert_eq!(entries(&object), expected);
}

#[test]
fn a_write_that_changes_nothing_changes_no_entry() {
    let object = created(
        &CONFIG_MAP,
        &json!({"metadata": {"name": "a"}, "data": {"k": "v"}}),
        "one",
    );
    let same = updated(&CONFIG_MAP, &object, |_| {}, "two");
    assert_eq!(same, object);
    let mut later = object.clone();
    later["metadata"]["managedFields"][0]["time"] = "2030-01-01T00:00:00Z".into();
    assert!(without_times_equal(&object, &later));
    keep_times_of_no_change(&object, &mut later);
    assert_eq!(later, object);
}

#[test]
fn what_an_endpoint_resets_is_nobodys() {
    let body = json!({"metadata": {"name": "a"}, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}});
    let object = created(&SERVICE, &body, "me");
    assert_eq!(entries(&object), []);
}

#[test]
fn entries_can_be_reset_by_the_request_and_stay_away_until_an_apply() {
    let object = created(
        &CONFIG_MAP,
        &json!({"metadata": {"name": "a"}, "data": {"k": "v"}}),
        "one",
    );
    let reset = |new: &mut Value| new["metadata"]["managedFields"] = json!([{}]);
    let object = updated(&CONFIG_MAP, &object, reset, "one");
    assert_eq!(entries(&object), []);
    let object = updated(
        &CONFIG_MAP,
        &object,
        |new| new["data"]["k"] = "w".into(),
        "one",
    );
    assert_eq!(entries(&object), []);
    let error = applied(
        &CONFIG_MAP,
        Some(&object),
        &json!({"metadata": {"name": "a"}, "data": {"k": "x"}}),
        ("me", false),
    );
    assert_eq!(
        error.unwrap_err().message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.k"
    );
}

#[test]
fn apply_creates_conflicts_forces_and_shares() {
    let one =
        json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v", "l": "w"}});
    let object = applied(&CONFIG_MAP, None, &one, ("one", false)).unwrap();
    let owned = json!({"f:data": {"f:k": {}, "f:l": {}}, "f:metadata": {"f:labels": {"f:x": {}}}});
    assert_eq!(entries(&object), [entry("one Apply", owned)]);

    let two = json!({"metadata": {"name": "a", "labels": {"x": "2"}}, "data": {"k": "other", "l": "other"}});
    let error = applied(&CONFIG_MAP, Some(&object), &two, ("two", false)).unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 3 conflicts: conflicts with \"one\":\n- .data.k\n- .data.l\n- .metadata.labels.x"
    );
    assert_eq!(
        error.details.unwrap()["causes"][0],
        json!({
            "reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.k",
        })
    );

    let two = json!({"metadata": {"name": "a"}, "data": {"k": "other"}});
    let object = applied(&CONFIG_MAP, Some(&object), &two, ("two", true)).unwrap();
    let owned = json!({"f:data": {"f:l": {}}, "f:metadata": {"f:labels": {"f:x": {}}}});
    let expected = [
        entry("one Apply", owned),
        entry("two Apply", json!({"f:data": {"f:k": {}}})),
    ];
    assert_eq!(entries(&object), expected);

    let one = json!({"metadata": {"name": "a"}, "data": {"k": "other", "l": "w"}});
    let object = applied(&CONFIG_MAP, Some(&object), &one, ("one", false)).unwrap();
    assert_eq!(object["metadata"].get("labels"), None);
    let expected = [
        entry("one Apply", json!({"f:data": {"f:k": {}, "f:l": {}}})),
        entry("two Apply", json!({"f:data": {"f:k": {}}})),
    ];
    assert_eq!(entries(&object), expected);
}

#[test]
fn an_applied_list_keeps_others_members_and_takes_the_applied_order() {
    let ports = |numbers: &[i64]| -> Value {
        let ports: Vec<Value> = numbers
            .iter()
            .map(|number| json!({"port": number, "name": format!("p{number}")}))
            .collect();
        json!({"metadata": {"name": "a"}, "spec": {"ports": ports}})
    };
    let numbers = |object: &Value| -> Vec<i64> {
        let ports = object["spec"]["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["port"].as_i64()).collect()
    };
    let object = applied(&SERVICE, None, &ports(&[80, 81]), ("one", false)).unwrap();
    let object = applied(&SERVICE, Some(&object), &ports(&[90]), ("two", false)).unwrap();
    assert_eq!(numbers(&object), [80, 81, 90]);
    let object = applied(&SERVICE, Some(&object), &ports(&[81]), ("one", false)).unwrap();
    assert_eq!(numbers(&object), [81, 90]);
    let object = applied(&SERVICE, Some(&object), &ports(&[91, 90]), ("two", false)).unwrap();
    assert_eq!(numbers(&object), [81, 91, 90]);
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    let cases = [
        (
            json!({"spec": {"foo": 1}}),
            ".spec.foo: field not declared in schema",
        ),
        (
            json!({"spec": {"ports": "text"}}),
            ".spec.ports: expected list, got &{text}",
        ),
        (
            json!({"spec": {"ports": {"port": 80}}}),
            ".spec.ports: expected list, got &{map[port:80]}",
        ),
        (
            json!({"spec": {"selector": ["x"]}}),
            ".spec.selector: expected map, got &{[x]}",
        ),
        (
            json!({"spec": {"ports": [{"port": "80"}]}}),
            ".spec.ports[port=\"80\",protocol=\"TCP\"].port: expected numeric (int or float), got string",
        ),
        (
            json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}}),
            ".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]",
        ),
        (
            json!({"spec": {"type": 5}}),
            ".spec.type: expected string, got &value.valueUnstructured{Value:5}",
        ),
        (
            json!({"spec": {"clusterIP": true}}),
            ".spec.clusterIP: expected string, got &value.valueUnstructured{Value:true}",
        ),
    ];
    for (mut body, expected) in cases {
        body["metadata"] = json!({"name": "web"});
        let error = applied(&SERVICE, None, &body, ("me", false)).unwrap_err();
        let expected =
            format!("failed to create typed patch object (/web; /v1, Kind=Service): {expected}");
        assert_eq!(error, Status::untyped(expected));
    }
}

#[test]
fn bodies_that_are_no_configuration_are_refused() {
    let cases = [
        (
            "a: b: c",
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
        (
            "[1, 2]",
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        ("", "invalid object type: /, Kind="),
        (
            "{no",
            "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected ',' or '}'",
        ),
    ];
    let options = ApplyOptions {
        force: false,
        validation: Validation::Strict,
    };
    for (body, expected) in cases {
        let error = apply(&CONFIG_MAP, None, body.as_bytes(), options, &writer("me"));
        assert_eq!(error, Err(Status::bad_request(expected)), "{body}");
    }
    let body = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1","k":"2"}}"#;
    let error = apply(&CONFIG_MAP, None, body, options, &writer("me")).unwrap_err();
    assert_eq!(
        error.message,
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 1: key \"k\" already set in map"
    );
}

#[test]
fn repeated_keys_are_a_warning_each() {
    let options = ApplyOptions {
        force: false,
        validation: Validation::Warn,
    };
    let body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: '1'\n  k: '2'\n";
    let applied = apply(&CONFIG_MAP, None, body, options, &writer("me")).unwrap();
    assert_eq!(applied.warnings, ["line 6: key \"k\" already set in map"]);
    assert_eq!(applied.object["data"]["k"], "2");
}

#[test]
fn kubectl_takes_over_what_it_applied_client_side() {
    let last = r#"{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let body =
        json!({"metadata": {"name": "a", "annotations": {LAST_APPLIED: last}}, "data": {"k": "v"}});
    let object = created(&CONFIG_MAP, &body, "kubectl-client-side-apply");
    let change = json!({"metadata": {"name": "a"}, "data": {"k": "changed"}});
    let error = applied(&CONFIG_MAP, Some(&object), &change, ("me", false)).unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.k"
    );
    let object = applied(&CONFIG_MAP, Some(&object), &change, ("kubectl", false)).unwrap();
    assert_eq!(object["data"]["k"], "changed");
    let annotation = object["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap();
    assert_eq!(
        annotation,
        "{\"apiVersion\":\"v1\",\"data\":{\"k\":\"changed\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n"
    );
}

#[test]
fn old_entries_by_updates_are_merged_when_there_are_too_many() {
    let mut object = created(
        &CONFIG_MAP,
        &json!({"metadata": {"name": "a"}, "data": {"k": "v"}}),
        "first",
    );
    for number in 0..12 {
        let name = format!("writer-{number:02}");
        object = updated(
            &CONFIG_MAP,
            &object,
            |new| new["data"][&name] = "x".into(),
            &name,
        );
    }
    let names: Vec<String> = entries(&object).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 10);
    assert!(
        names.contains(&"ancient-changes Update".to_owned()),
        "{names:?}"
    );
}

fn any_data() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-d]", "[x-z]", 1..4).prop_map(|map| {
        let data: Map<String, Value> = map
            .into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect();
        json!({"metadata": {"name": "a"}, "data": data})
    })
}

proptest! {
    #[test]
    fn what_is_applied_is_there_afterwards(
        first in any_data(), second in any_data(), again in any_data(),
    ) {
        let object = applied(&CONFIG_MAP, None, &first, ("one", false)).unwrap();
        let object = applied(&CONFIG_MAP, Some(&object), &second, ("two", true)).unwrap();
        let object = applied(&CONFIG_MAP, Some(&object), &again, ("one", true)).unwrap();
        let data = |object: &Value| object["data"].as_object().cloned().unwrap_or_default();
        let (found, wanted) = (data(&object), data(&again));
        for (key, value) in &wanted {
            prop_assert_eq!(&found[key], value);
        }
        let others = data(&second);
        for key in found.keys() {
            prop_assert!(wanted.contains_key(key) || others.contains_key(key));
        }
        let same = applied(&CONFIG_MAP, Some(&object), &again, ("one", false)).unwrap();
        prop_assert_eq!(same, object);
    }

    #[test]
    fn an_apply_never_takes_silently(first in any_data(), second in any_data()) {
        let object = applied(&CONFIG_MAP, None, &first, ("one", false)).unwrap();
        let mut second = second;
        second["data"]["d"] = "q".into();
        let result = applied(&CONFIG_MAP, Some(&object), &second, ("two", false));
        let differs = second["data"].as_object().unwrap().iter().any(|(key, value)| {
            first["data"].get(key).is_some_and(|before| before != value)
        });
        prop_assert_eq!(result.is_err(), differs);
    }
}
