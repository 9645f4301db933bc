use serde_json::json;

use super::*;

fn slice(kind: &str, endpoints: &Value, ports: &Value) -> Value {
    json!({"metadata": {"name": "s", "namespace": "n", "resourceVersion": "1"}, "addressType": kind,
        "endpoints": endpoints, "ports": ports})
}

fn texts(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn ports_get_a_name_and_a_protocol() {
    let mut object = slice("IPv4", &json!([]), &json!([{"port": 80}]));
    EndpointSlice.set_defaults(&mut object);
    assert_eq!(
        object["ports"],
        json!([{"port": 80, "name": "", "protocol": "TCP"}])
    );
}

#[test]
fn addresses_are_of_the_slices_type() {
    let cases = [
        ("IPv4", "10.0.0.1", ""),
        (
            "IPv4",
            "fd00::1",
            "endpoints[0].addresses: Invalid value: \"fd00::1\": must be an IPv4 address",
        ),
        (
            "IPv6",
            "FD00::1",
            "endpoints[0].addresses[0]: Invalid value: \"FD00::1\": must be in canonical form (\"fd00::1\")",
        ),
        ("FQDN", "example.com.", ""),
        (
            "FQDN",
            "localhost",
            "endpoints[0].addresses[0]: Invalid value: \"localhost\": should be a domain with at least two segments separated by dots",
        ),
        (
            "Unix",
            "x",
            "addressType: Unsupported value: \"Unix\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"",
        ),
        ("", "x", "addressType: Required value"),
    ];
    for (kind, address, problem) in cases {
        let object = slice(kind, &json!([{"addresses": [address]}]), &json!([]));
        let expected: Vec<&str> = [problem].into_iter().filter(|p| !p.is_empty()).collect();
        assert_eq!(
            texts(&EndpointSlice.validate_create(&object)),
            expected,
            "{kind} {address}"
        );
    }
}

#[test]
fn lists_have_limits() {
    let many: Vec<String> = (0..101).map(|i| format!("10.0.0.{i}")).collect();
    let object = slice("IPv4", &json!([{"addresses": many}, {}]), &json!([]));
    let found = texts(&EndpointSlice.validate_create(&object));
    assert_eq!(
        found,
        [
            "endpoints[0].addresses: Too many: 101: must have at most 100 items",
            "endpoints[1].addresses: Required value: must contain at least 1 address",
        ]
    );
    let zones: Vec<Value> = (0..9).map(|i| json!({"name": format!("z{i}")})).collect();
    let hinted = json!([{"addresses": ["10.0.0.1"], "hints": {"forZones": zones}}]);
    let found = texts(&EndpointSlice.validate_create(&slice("IPv4", &hinted, &json!([]))));
    assert_eq!(
        found,
        ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"]
    );
}

#[test]
fn generation_rises_with_content_and_labels() {
    let mut old = slice("IPv4", &json!([{"addresses": ["10.0.0.1"]}]), &json!([]));
    EndpointSlice.prepare_for_create(&mut old);
    let generation = |change: fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        EndpointSlice.prepare_for_update(Part::Main, &mut new, &old);
        new["metadata"]["generation"].clone()
    };
    assert_eq!(generation(|_| {}), 1);
    assert_eq!(
        generation(|new| new["metadata"]["annotations"] = json!({"a": "b"})),
        1
    );
    assert_eq!(generation(|new| new["ports"] = Value::Null), 1);
    assert_eq!(
        generation(|new| new["metadata"]["labels"] = json!({"a": "b"})),
        2
    );
    assert_eq!(generation(|new| new["endpoints"] = json!([])), 2);
}

#[test]
fn the_row_shows_three_of_each() {
    let endpoints =
        json!([{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2", "10.0.0.3", "10.0.0.4"]}]);
    let ports = json!([{"port": 80}, {"name": "b"}, {}]);
    let cells = EndpointSlice.cells(&slice("IPv4", &endpoints, &ports), Timestamp::UNIX_EPOCH);
    assert_eq!(
        cells,
        [
            "s",
            "IPv4",
            "80,b,*",
            "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...",
            "<unknown>"
        ]
    );
    let cells = EndpointSlice.cells(
        &slice("IPv4", &json!([]), &json!([])),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(cells[2..4], ["<unset>", "<unset>"]);
}
