use proptest::prelude::*;
use serde_json::json;

use super::*;

const SERVICE: Kind<'_> = Kind {
    group: "",
    version: "v1",
    kind: "Service",
    definition: "io.k8s.api.core.v1.Service",
};
const CONFIG_MAP: Kind<'_> = Kind {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    definition: "io.k8s.api.core.v1.ConfigMap",
};
const POD: Kind<'_> = Kind {
    group: "",
    version: "v1",
    kind: "Pod",
    definition: "io.k8s.api.core.v1.Pod",
};

fn config_map() -> Value {
    json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "a", "uid": "u", "finalizers": ["e.com/a"]}, "data": {"k": "v"},
    })
}

fn service() -> Value {
    json!({
        "kind": "Service", "apiVersion": "v1", "metadata": {"name": "a"},
        "spec": {
            "ports": [
                {"name": "p", "protocol": "TCP", "port": 80, "targetPort": 80},
                {"name": "q", "protocol": "TCP", "port": 81, "targetPort": 81},
            ],
            "selector": {"a": "b"}, "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    })
}

fn patched(patch: Patch, kind: &Kind<'_>, current: &Value, body: &Value) -> Result<Value, Status> {
    let body = body.to_string();
    apply(patch, kind, current, body.as_bytes(), Validation::Warn).map(|decoded| decoded.object)
}

fn ports(body: &Value) -> Result<Value, Status> {
    let object = patched(
        Patch::Strategic,
        &SERVICE,
        &service(),
        &json!({"spec": body}),
    )?;
    let ports = object["spec"]["ports"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(ports.iter().map(|port| port["port"].clone()).collect())
}

fn refused() -> Status {
    cannot_be_applied()
}

#[test]
fn json_patches_go_their_own_ways() {
    let cases = [
        (
            json!([{"op": "replace", "path": "/data/none", "value": "x"}]),
            json!({"k": "v", "none": "x"}),
        ),
        (
            json!([{"op": "copy", "from": "/data/none", "path": "/data/l"}]),
            json!({"k": "v", "l": ""}),
        ),
        (
            json!([{"op": "add", "path": "/data/l"}]),
            json!({"k": "v", "l": ""}),
        ),
        (
            json!([{"op": "move", "from": "/data/k", "path": "/data/a~1b"}]),
            json!({"a/b": "v"}),
        ),
        (
            json!([{"op": "test", "path": "/metadata/labels", "value": null}]),
            json!({"k": "v"}),
        ),
        (json!(null), json!({"k": "v"})),
    ];
    for (body, expected) in cases {
        let object = patched(Patch::Json, &CONFIG_MAP, &config_map(), &body).unwrap();
        assert_eq!(object["data"], expected, "{body}");
    }
    let body = json!([{"op": "add", "path": "/metadata/finalizers/-1", "value": "e.com/b"}]);
    let object = patched(Patch::Json, &CONFIG_MAP, &config_map(), &body).unwrap();
    assert_eq!(
        object["metadata"]["finalizers"],
        json!(["e.com/a", "e.com/b"])
    );
}

#[test]
fn json_patches_that_cannot_be_applied_are_refused_without_words() {
    let cases = [
        json!([{"op": "test", "path": "/data/k", "value": "other"}]),
        json!([{"op": "remove", "path": "/data/none"}]),
        json!([{"op": "add", "path": "/binaryData/x/y", "value": "x"}]),
        json!([{"op": "add", "path": "/metadata/finalizers/9", "value": "e.com/b"}]),
        json!([{"op": "frobnicate", "path": "/data/k", "value": "x"}]),
        json!([{"path": "/data/k", "value": "x"}]),
        json!([{"op": "move", "from": "/data/none", "path": "/data/l"}]),
        json!([{"op": "add", "path": "data", "value": {}}]),
        json!([{"op": "replace", "path": "/metadata/finalizers/x", "value": "e.com/b"}]),
        json!([{"op": "remove", "path": "/metadata/finalizers/1"}]),
    ];
    for body in cases {
        let error = patched(Patch::Json, &CONFIG_MAP, &config_map(), &body).unwrap_err();
        assert_eq!(error, refused(), "{body}");
    }
}

#[test]
fn malformed_patches_are_told_in_gos_words() {
    let cases = [
        (
            Patch::Json,
            "{\"op\":1}",
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            Patch::Json,
            "[1]",
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
        ),
        (
            Patch::Json,
            "[{",
            "error decoding patch: unexpected end of JSON input",
        ),
        (
            Patch::Merge,
            "[1]",
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (Patch::Merge, "null", "Invalid JSON Patch"),
        (
            Patch::Merge,
            "",
            "error decoding patch: unexpected end of JSON input",
        ),
        (
            Patch::Strategic,
            "[1]",
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            Patch::Strategic,
            "{\"spec\"",
            "unexpected end of JSON input",
        ),
    ];
    for (patch, body, expected) in cases {
        let error = apply(
            patch,
            &CONFIG_MAP,
            &config_map(),
            body.as_bytes(),
            Validation::Warn,
        );
        assert_eq!(error, Err(Status::bad_request(expected)), "{body}");
    }
}

#[test]
fn merge_patches_merge_objects_and_remove_nulls() {
    let body =
        json!({"metadata": {"labels": {"a": null, "b": "c"}, "uid": null}, "data": {"k": null}});
    let object = patched(Patch::Merge, &CONFIG_MAP, &config_map(), &body).unwrap();
    let expected = json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {"b": "c"}, "finalizers": ["e.com/a"]},
    });
    assert_eq!(object, expected);
}

#[test]
fn a_result_that_does_not_decode_is_shown_as_the_library_printed_it() {
    let body = json!({"data": {"k": 5}});
    let error = patched(Patch::Merge, &CONFIG_MAP, &config_map(), &body).unwrap_err();
    let shown = r#"{\"apiVersion\":\"v1\",\"data\":{\"k\":5},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"finalizers\":[\"e.com/a\"]}}"#;
    let text = "json: cannot unmarshal number into Go struct field ConfigMap.data of type string";
    let expected = format!(" \"\" is invalid: patch: Invalid value: \"{shown}\": {text}");
    assert_eq!((error.code, error.message), (422, expected));
    let body = json!([{"op": "add", "path": "/metadata/labels", "value": {"a": 1}}]);
    let error = patched(Patch::Json, &CONFIG_MAP, &config_map(), &body).unwrap_err();
    assert!(
        error.message.contains(r#"\"metadata\":{\"finalizers\":[\"e.com/a\"],\"labels\":{\"a\":1},\"name\":\"a\",\"uid\":\"u\"}"#),
        "{}",
        error.message
    );
    let body = json!({"kind": "Secret", "data": {"k": "v"}});
    let error = patched(Patch::Merge, &CONFIG_MAP, &config_map(), &body).unwrap_err();
    assert!(
        error
            .message
            .ends_with(": illegal base64 data at input byte 0"),
        "{}",
        error.message
    );
}

#[test]
fn unknown_and_repeated_fields_of_patches() {
    let body = br#"{"bogus":1,"data":{"k":"1","k":"2"}}"#;
    let texts = ["duplicate field \"data.k\"", "unknown field \"bogus\""];
    for patch in [Patch::Merge, Patch::Strategic] {
        let decoded = apply(patch, &CONFIG_MAP, &config_map(), body, Validation::Warn).unwrap();
        assert_eq!(decoded.warnings, texts);
        let error = apply(patch, &CONFIG_MAP, &config_map(), body, Validation::Strict).unwrap_err();
        let expected = format!(": strict decoding error: {}", texts.join(", "));
        assert!(error.message.ends_with(&expected), "{}", error.message);
        let decoded = apply(patch, &CONFIG_MAP, &config_map(), body, Validation::Ignore).unwrap();
        assert!(decoded.warnings.is_empty());
    }
    let error = apply(
        Patch::Strategic,
        &CONFIG_MAP,
        &config_map(),
        br#"{"bogus":1}"#,
        Validation::Strict,
    );
    assert_eq!(
        error.unwrap_err().message,
        " \"\" is invalid: patch: Invalid value: \"map[bogus:1]\": strict decoding error: unknown field \"bogus\""
    );
}

#[test]
fn lists_merge_by_key_and_keep_or_take_an_order() {
    let cases = [
        (
            json!({"ports": [{"port": 81, "targetPort": 8081}, {"name": "r", "port": 82}]}),
            json!([80, 81, 82]),
        ),
        (
            json!({"ports": [{"name": "r", "port": 82}]}),
            json!([82, 80, 81]),
        ),
        (
            json!({"ports": [{"port": 80, "$patch": "delete"}]}),
            json!([81]),
        ),
        (
            json!({"ports": [{"$patch": "replace"}, {"port": 90}]}),
            json!([90]),
        ),
        (
            json!({"$setElementOrder/ports": [{"port": 81}, {"port": 83}, {"port": 80}], "ports": [{"port": 83, "name": "s"}]}),
            json!([81, 83, 80]),
        ),
        (
            json!({"$setElementOrder/ports": [{"port": 81}, {"port": 80}]}),
            json!([81, 80]),
        ),
        (
            json!({"$setElementOrder/ports": [{"port": 80}, {"port": 83}], "ports": [{"port": 81, "$patch": "delete"}, {"port": 83}]}),
            json!([80, 83]),
        ),
        (json!({"ports": null}), json!([])),
    ];
    for (body, expected) in cases {
        assert_eq!(ports(&body), Ok(expected), "{body}");
    }
}

#[test]
fn a_member_added_beside_a_deletion_counts_as_the_servers() {
    let mut current = service();
    let third = json!({"name": "c", "protocol": "TCP", "port": 82, "targetPort": 82});
    current["spec"]["ports"].as_array_mut().unwrap().push(third);
    let body = json!({"spec": {
        "$setElementOrder/ports": [{"port": 80}, {"port": 83}],
        "ports": [{"port": 81, "$patch": "delete"}, {"port": 83, "name": "d"}],
    }});
    let object = patched(Patch::Strategic, &SERVICE, &current, &body).unwrap();
    let ports = object["spec"]["ports"].as_array().unwrap();
    let numbers: Vec<&Value> = ports.iter().map(|port| &port["port"]).collect();
    assert_eq!(numbers, [80, 82, 83]);
}

#[test]
fn maps_obey_directives() {
    let merge = |body: Value| patched(Patch::Strategic, &SERVICE, &service(), &body).unwrap();
    let object = merge(json!({"spec": {"selector": {"$patch": "replace", "c": "d"}}}));
    assert_eq!(object["spec"]["selector"], json!({"c": "d"}));
    let object = merge(json!({"spec": {"selector": {"$patch": "delete"}}}));
    assert_eq!(object["spec"].get("selector"), None);
    let object = merge(json!({"spec": {"$retainKeys": ["type"], "type": "NodePort"}}));
    assert_eq!(object["spec"], json!({"type": "NodePort"}));
    let object = patched(
        Patch::Strategic,
        &CONFIG_MAP,
        &config_map(),
        &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["e.com/a"], "finalizers": ["e.com/b"]}}),
    );
    assert_eq!(
        object.unwrap()["metadata"]["finalizers"],
        json!(["e.com/b"])
    );
}

#[test]
fn what_cannot_be_merged_is_told() {
    let plain = |text: &str| Status::untyped(text);
    let cases = [
        (
            json!({"ports": [{"name": "no-port"}]}),
            plain("map: map[name:no-port] does not contain declared merge key: port"),
        ),
        (
            json!({"ports": [80]}),
            plain(
                "list element types are not identical: [[map[name:p port:80 protocol:TCP targetPort:80] map[name:q port:81 protocol:TCP targetPort:81]] [80]]",
            ),
        ),
        (
            json!({"ports": [{"port": 80, "$patch": "merge"}]}),
            plain("merging lists cannot yet be specified in the patch"),
        ),
        (
            json!({"ports": [{"port": 80, "$patch": "explode"}]}),
            plain("unknown patch type: explode in map: map[$patch:explode port:80]"),
        ),
        (
            json!({"$setElementOrder/ports": [{"port": 99}], "ports": [{"port": 80, "name": "x"}]}),
            plain(
                "The order in patch list:\n[map[name:x port:80]]\n doesn't match $setElementOrder list:\n[map[port:99]]\n",
            ),
        ),
        (
            json!({"$setElementOrder/ports": [{"name": "a"}], "ports": [{"port": 80}]}),
            plain("map: map[name:a] does not contain declared merge key: port"),
        ),
        (
            json!({"ports": {"port": 80}}),
            invalid(
                "map[spec:map[ports:map[port:80]]]",
                "cannot restore slice from map",
            ),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(ports(&body), Err(expected), "{body}");
    }
    let error = patched(Patch::Strategic, &SERVICE, &service(), &json!({"spec": []}));
    assert_eq!(
        error,
        Err(invalid("map[spec:[]]", "cannot restore struct from: slice"))
    );
}

#[test]
fn nested_lists_merge_by_their_keys() {
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {}, "spec": {"containers": [
        {"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}], "resources": {}},
    ]}, "status": {}});
    let body =
        json!({"spec": {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]}});
    let object = patched(Patch::Strategic, &POD, &pod, &body).unwrap();
    let env = &object["spec"]["containers"][0]["env"];
    assert_eq!(
        *env,
        json!([{"name": "B", "value": "2"}, {"name": "A", "value": "1"}])
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_i64..100).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("spec".to_owned()),
        Just("ports".to_owned()),
        Just("port".to_owned()),
        Just("metadata".to_owned()),
        Just("labels".to_owned()),
        Just("$patch".to_owned()),
        Just("$setElementOrder/ports".to_owned()),
        Just("$retainKeys".to_owned()),
        "[a-c]",
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_merge_patch_twice_is_once(object in any_json(), patch in any_json()) {
        let mut once = object;
        merge::merge(&mut once, &patch);
        let mut twice = once.clone();
        merge::merge(&mut twice, &patch);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn no_patch_makes_it_panic(body in any_json()) {
        let body = body.to_string();
        for patch in [Patch::Json, Patch::Merge, Patch::Strategic] {
            drop(apply(patch, &SERVICE, &service(), body.as_bytes(), Validation::Warn));
        }
    }

    #[test]
    fn ports_of_a_patch_are_all_there_and_once(numbers in proptest::collection::vec(1_i64..90, 0..6)) {
        let list: Vec<Value> = numbers.iter().map(|number| json!({"port": number, "name": "n"})).collect();
        let merged = ports(&json!({"ports": list})).unwrap();
        let merged: Vec<i64> = merged.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
        let mut expected: Vec<i64> = numbers;
        expected.extend([80, 81]);
        expected.sort_unstable();
        expected.dedup();
        let mut sorted = merged.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, expected);
        let old: Vec<&i64> = merged.iter().filter(|port| [80, 81].contains(port)).collect();
        prop_assert_eq!(old.len(), 2);
    }
}
