use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// Pools over sets; the next pick is the number after the last.
#[derive(Default)]
struct Fake {
    families: Vec<Family>,
    taken: BTreeSet<String>,
    ports: BTreeSet<i64>,
    released: Vec<String>,
    next: i64,
}

impl Fake {
    fn new() -> Self {
        Self {
            families: vec![Family::V4, Family::V6],
            ..Self::default()
        }
    }
}

impl Pools for Fake {
    fn families(&self) -> &[Family] {
        &self.families
    }

    fn take_address(&mut self, _service: &Value, address: &str) -> Result<(), AddressRefused> {
        if self.taken.insert(address.to_owned()) {
            Ok(())
        } else {
            Err(AddressRefused::Because(
                "provided IP is already allocated".to_owned(),
            ))
        }
    }

    fn pick_address(&mut self, _service: &Value, family: Family) -> Result<String, AddressRefused> {
        self.next += 1;
        match family {
            Family::V4 => Ok(format!("10.0.0.{}", self.next)),
            Family::V6 => Ok(format!("fd00::{}", self.next)),
        }
    }

    fn release_address(&mut self, address: &str) {
        self.released.push(address.to_owned());
    }

    fn take_port(&mut self, port: i64) -> Result<(), String> {
        if self.ports.insert(port) {
            Ok(())
        } else {
            Err("provided port is already allocated".to_owned())
        }
    }

    fn pick_port(&mut self) -> Result<i64, String> {
        self.next += 1;
        self.ports.insert(31_000 + self.next);
        Ok(31_000 + self.next)
    }

    fn release_port(&mut self, port: i64) {
        self.released.push(port.to_string());
    }
}

fn service(spec: &Value) -> Value {
    json!({"metadata": {"name": "web", "namespace": "n"}, "spec": spec})
}

fn created(spec: &Value, pools: &mut Fake) -> Result<Value, String> {
    let mut object = service(spec);
    create(&mut object, pools).map_err(|status| status.message)?;
    Ok(object["spec"].clone())
}

fn updated(new: &Value, old: &Value, pools: &mut Fake) -> Result<Value, String> {
    let mut object = service(new);
    update(&mut object, &service(old), pools).map_err(|status| status.message)?;
    Ok(object["spec"].clone())
}

fn node_ports(spec: &Value) -> Vec<i64> {
    Spec::of(&json!({"spec": spec})).node_ports()
}

#[test]
fn both_families_get_an_address_each() {
    let mut pools = Fake::new();
    let spec = json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"});
    let spec = created(&spec, &mut pools).unwrap();
    assert_eq!(spec["clusterIP"], "10.0.0.1");
    assert_eq!(spec["clusterIPs"], json!(["10.0.0.1", "fd00::2"]));
}

#[test]
fn a_taken_address_is_the_users_error() {
    let mut pools = Fake::new();
    pools.taken.insert("10.0.0.9".to_owned());
    let spec = json!({"type": "ClusterIP", "clusterIP": "10.0.0.9"});
    assert_eq!(
        created(&spec, &mut pools).unwrap_err(),
        "Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.9\"]: \
         failed to allocate IP 10.0.0.9: provided IP is already allocated"
    );
}

#[test]
fn protocols_of_one_port_share_a_node_port_on_create() {
    let ports = json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}, {"port": 54, "protocol": "UDP"}]);
    let spec = created(
        &json!({"type": "NodePort", "ports": ports}),
        &mut Fake::new(),
    )
    .unwrap();
    let given = node_ports(&spec);
    assert_eq!(given[0], given[1]);
    assert_ne!(given[0], given[2]);
    let ports = json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "nodePort": 30054}]);
    let spec = created(
        &json!({"type": "NodePort", "ports": ports}),
        &mut Fake::new(),
    )
    .unwrap();
    assert_eq!(node_ports(&spec), [30054, 30054]);
}

#[test]
fn one_node_port_for_two_numbers_fails_on_create_and_passes_on_update() {
    let ports = json!([{"name": "a", "port": 80, "protocol": "TCP", "nodePort": 30055},
        {"name": "b", "port": 81, "protocol": "UDP", "nodePort": 30055}]);
    let spec = json!({"type": "NodePort", "ports": ports});
    assert_eq!(
        created(&spec, &mut Fake::new()).unwrap_err(),
        "Service \"web\" is invalid: spec.ports[1].nodePort: Invalid value: 30055: provided port is already allocated"
    );
    let old = json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"});
    assert_eq!(
        node_ports(&updated(&spec, &old, &mut Fake::new()).unwrap()),
        [30055, 30055]
    );
}

#[test]
fn update_gives_each_new_port_its_own_number_and_releases_what_is_gone() {
    let ip = json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "type": "NodePort"});
    let with = |ports: &Value| {
        let mut spec = ip.clone();
        spec["ports"] = ports.clone();
        spec
    };
    let old = with(&json!([{"name": "a", "port": 80, "protocol": "TCP", "nodePort": 30001}]));
    let new = with(
        &json!([{"name": "x", "port": 80, "protocol": "TCP"}, {"name": "y", "port": 80, "protocol": "UDP"}]),
    );
    let mut pools = Fake::new();
    let given = node_ports(&updated(&new, &old, &mut pools).unwrap());
    assert_ne!(given[0], given[1]);
    assert_eq!(pools.released, ["30001"]);
    let twice = with(
        &json!([{"name": "a", "port": 80, "protocol": "TCP", "nodePort": 30001},
        {"name": "b", "port": 81, "protocol": "TCP", "nodePort": 30001}]),
    );
    assert_eq!(
        updated(&twice, &old, &mut Fake::new()).unwrap_err(),
        "duplicate nodePort: {TCP 30001}"
    );
}

#[test]
fn health_check_ports_come_and_go_with_the_policy() {
    let base = json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "allocateLoadBalancerNodePorts": false});
    let mut local = base.clone();
    local["externalTrafficPolicy"] = "Local".into();
    let mut pools = Fake::new();
    let spec = updated(&local, &base, &mut pools).unwrap();
    assert_eq!(spec["healthCheckNodePort"], 31_001);
    updated(&base, &spec, &mut pools).unwrap();
    assert_eq!(pools.released, ["31001"]);
    local["healthCheckNodePort"] = 31_001.into();
    assert_eq!(
        updated(&local, &base, &mut pools).unwrap_err(),
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 31001: provided port is already allocated"
    );
}

#[test]
fn external_name_gives_everything_back() {
    let old = json!({"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"],
        "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80, "nodePort": 30001}]});
    let mut pools = Fake::new();
    let mut new = old.clone();
    new["type"] = "ExternalName".into();
    updated(&new, &old, &mut pools).unwrap();
    assert_eq!(pools.released, ["10.0.0.1", "fd00::1", "30001"]);
    pools.released.clear();
    removed(&service(&old), &mut pools);
    assert_eq!(pools.released, ["10.0.0.1", "fd00::1", "30001"]);
}

#[test]
fn a_second_family_is_added_and_released_alone() {
    let one = json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"});
    let mut more = one.clone();
    more["ipFamilyPolicy"] = "RequireDualStack".into();
    let mut pools = Fake::new();
    let two = updated(&more, &one, &mut pools).unwrap();
    assert_eq!(two["clusterIPs"], json!(["10.0.0.1", "fd00::1"]));
    let mut less = two.clone();
    less["ipFamilyPolicy"] = "SingleStack".into();
    let spec = updated(&less, &two, &mut pools).unwrap();
    assert_eq!(spec["clusterIPs"], json!(["10.0.0.1"]));
    assert_eq!(pools.released, ["fd00::1"]);
}
