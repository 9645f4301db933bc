use serde_json::json;

use super::*;

fn endpoints(subsets: &Value) -> Value {
    json!({"metadata": {"name": "e", "namespace": "n", "resourceVersion": "1"}, "subsets": subsets})
}

fn texts(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_subset_has_addresses_and_its_ports_have_protocols() {
    let mut object =
        endpoints(&json!([{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]));
    Endpoints.set_defaults(&mut object);
    assert_eq!(object["subsets"][0]["ports"][0]["protocol"], "TCP");
    assert!(Endpoints.validate_create(&object).is_empty());
    let bad = endpoints(&json!([
        {"ports": [{"port": 0, "protocol": "X"}, {"name": "a", "port": 1, "protocol": "TCP"}]},
        {"notReadyAddresses": [{"ip": "127.0.0.1", "nodeName": "a_b"}]},
    ]));
    let found = texts(&Endpoints.validate_create(&bad));
    assert_eq!(found.len(), 6, "{found:#?}");
    assert_eq!(
        found[0],
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"
    );
    assert_eq!(found[1], "subsets[0].ports[0].name: Required value");
    assert!(found[4].starts_with("subsets[1].notReadyAddresses[0].nodeName"));
    assert!(found[5].contains("loopback"));
}

#[test]
fn old_faults_may_stay() {
    let bad = endpoints(&json!([{}]));
    assert!(!Endpoints.validate_create(&bad).is_empty());
    assert!(Endpoints.validate_update(Part::Main, &bad, &bad).is_empty());
}

#[test]
fn the_cell_shows_three_ready_addresses() {
    let shown = |subsets: &Value| cell(&endpoints(subsets));
    let two = json!([{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]);
    let ports = json!([{"port": 80}, {"port": 81}]);
    assert_eq!(
        shown(&json!([{"addresses": two, "ports": ports}])),
        "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more..."
    );
    assert_eq!(shown(&json!([])), "<none>");
    assert_eq!(shown(&json!([{"notReadyAddresses": two}])), "");
    let six = json!([{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}, {"addresses": [{"ip": "10.0.0.2"}]}]);
    assert_eq!(shown(&six), "[fd00::1]:80,10.0.0.2");
}

#[test]
fn odd_addresses_are_warned_about_unless_the_controller_wrote_them() {
    let mut object = endpoints(&json!([{"addresses": [{"ip": "2001:DB8::1"}]}]));
    assert_eq!(warnings(&object).len(), 1);
    object["metadata"]["labels"] =
        json!({"endpoints.kubernetes.io/managed-by": "endpoint-controller"});
    assert!(warnings(&object).is_empty());
}
