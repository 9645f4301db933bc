use serde_json::json;

use super::*;

fn address(name: &str, parent: &Value) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": "1"}, "spec": {"parentRef": parent}})
}

fn texts(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_name_is_a_canonical_address() {
    let parent = json!({"resource": "services", "name": "a"});
    assert!(
        IpAddress
            .validate_create(&address("10.96.0.1", &parent))
            .is_empty()
    );
    let found = texts(&IpAddress.validate_create(&address("2001:DB8::1", &parent)));
    assert_eq!(
        found,
        [
            "metadata.name: Invalid value: \"2001:DB8::1\": must be in canonical form (\"2001:db8::1\")"
        ]
    );
}

#[test]
fn the_parent_is_complete_and_stays() {
    let found = texts(&IpAddress.validate_create(&address("10.96.0.1", &Value::Null)));
    assert_eq!(found, ["spec.parentRef: Required value"]);
    let found = texts(&IpAddress.validate_create(&address("10.96.0.1", &json!({}))));
    assert_eq!(
        found,
        [
            "spec.parentRef.resource: Required value",
            "spec.parentRef.name: Required value"
        ]
    );
    let old = address(
        "10.96.0.1",
        &json!({"resource": "things", "group": "x.io", "name": "a"}),
    );
    let new = address(
        "10.96.0.1",
        &json!({"resource": "things", "group": "x.io", "name": "b"}),
    );
    assert_eq!(
        texts(&IpAddress.validate_update(Part::Main, &new, &old)),
        [
            "spec.parentRef: Invalid value: {\"Group\":\"x.io\",\"Resource\":\"things\",\
          \"Namespace\":\"\",\"Name\":\"b\"}: field is immutable"
        ]
    );
}

#[test]
fn the_row_has_one_cell_more_than_columns() {
    let service = json!({"metadata": {"namespace": "n", "name": "web"}});
    let booked = of_service("fd00::1", &service);
    let cells = IpAddress.cells(&booked, Timestamp::UNIX_EPOCH);
    assert_eq!(cells, ["fd00::1", "services/n/web", "<unknown>"]);
    assert_eq!(booked["metadata"]["labels"][FAMILY_LABEL], "IPv6");
    let foreign = address(
        "10.0.0.1",
        &json!({"resource": "Things", "group": "X.io", "name": "a"}),
    );
    assert_eq!(parent_cell(&foreign), "things.x.io/a");
}
