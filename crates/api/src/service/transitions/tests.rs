use serde_json::json;

use super::*;

fn service(spec: &Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": spec, "status": {"loadBalancer": {}}})
}

fn carried(new: &Value, old: &Value) -> Value {
    let mut object = service(new);
    carry_over(&mut object, &service(old));
    object["spec"].clone()
}

#[test]
fn addresses_left_out_come_back_where_both_types_have_them() {
    let old = json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]});
    let spec = carried(&json!({"type": "NodePort"}), &old);
    assert_eq!(spec["clusterIPs"], json!(["10.0.0.1"]));
    let spec = carried(&json!({"type": "ExternalName"}), &old);
    assert_eq!(spec.get("clusterIP"), None);
}

#[test]
fn node_ports_come_back_by_name_unless_used_elsewhere() {
    let old = json!({"type": "NodePort", "ports": [
        {"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]});
    let spec = carried(
        &json!({"type": "LoadBalancer", "ports": [{"name": "b", "port": 8081}, {"name": "c", "port": 82}]}),
        &old,
    );
    assert_eq!(spec["ports"][0]["nodePort"], 30002);
    assert_eq!(spec["ports"][1].get("nodePort"), None);
    let swapped = json!({"type": "NodePort", "ports": [
        {"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30001}]});
    assert_eq!(carried(&swapped, &old)["ports"][0].get("nodePort"), None);
    let off = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
        "ports": [{"name": "a", "port": 80}]});
    assert_eq!(carried(&off, &old)["ports"][0].get("nodePort"), None);
}

#[test]
fn one_shape_of_the_address_makes_the_other() {
    let aligned = |new: &Value, old: Option<&Value>| {
        let mut object = service(new);
        align_cluster_ips(&mut object, old.map(service).as_ref());
        object["spec"].get("clusterIPs").cloned()
    };
    let old = json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]});
    assert_eq!(
        aligned(&json!({"clusterIP": "None"}), None),
        Some(json!(["None"]))
    );
    assert_eq!(
        aligned(&json!({"clusterIPs": ["10.0.0.1"]}), None),
        Some(json!(["10.0.0.1"]))
    );
    assert_eq!(
        aligned(&json!({"clusterIP": "10.0.0.1"}), Some(&old)),
        Some(json!(["10.0.0.1"]))
    );
    let other = json!({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.1"]});
    assert_eq!(aligned(&other, Some(&old)), Some(json!(["10.0.0.2"])));
    let cleared = json!({"clusterIP": "", "clusterIPs": ["10.0.0.1"]});
    assert_eq!(aligned(&cleared, Some(&old)), None);
}

/// What is left of `spec` members after a change of type with nothing else touched.
fn left(from: &Value, change: &Value) -> Value {
    let old = service(from);
    let mut new = old.clone();
    for (member, value) in change.as_object().unwrap() {
        new["spec"][member] = value.clone();
    }
    drop_unused(&mut new, &old);
    new["spec"].clone()
}

#[test]
fn leaving_load_balancer_wipes_what_only_it_has() {
    let balanced = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
        "allocateLoadBalancerNodePorts": true, "loadBalancerClass": "x/y", "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "ports": [{"port": 80, "nodePort": 30002}]});
    assert_eq!(
        left(&balanced, &json!({"type": "ClusterIP"})),
        json!({"type": "ClusterIP", "loadBalancerSourceRanges": ["10.0.0.0/8"], "ports": [{"port": 80}]})
    );
    let kept = left(&balanced, &json!({"type": "NodePort"}));
    assert_eq!(kept["ports"][0]["nodePort"], 30002);
    assert_eq!(kept["externalTrafficPolicy"], "Local");
}

#[test]
fn what_the_client_changed_is_not_wiped() {
    let old = json!({"type": "NodePort", "externalTrafficPolicy": "Cluster",
        "ports": [{"name": "a", "port": 80, "nodePort": 30001}]});
    let ports = json!([{"name": "a", "port": 80, "nodePort": 30005}]);
    let kept = left(
        &old,
        &json!({"type": "ClusterIP", "ports": ports, "externalTrafficPolicy": "Local"}),
    );
    assert_eq!(kept["ports"][0]["nodePort"], 30005);
    assert_eq!(kept["externalTrafficPolicy"], "Local");
}

#[test]
fn external_name_loses_addresses_and_families() {
    let old = json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"});
    let kept = left(&old, &json!({"type": "ExternalName"}));
    assert_eq!(kept, json!({"type": "ExternalName"}));
}

#[test]
fn the_load_balancers_status_goes_with_the_type() {
    let mut old = service(&json!({"type": "LoadBalancer"}));
    old["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}, "conditions": []});
    let mut new = old.clone();
    new["spec"]["type"] = "NodePort".into();
    drop_unused(&mut new, &old);
    assert_eq!(new["status"], json!({"loadBalancer": {}, "conditions": []}));
}
