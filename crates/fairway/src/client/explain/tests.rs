//! Reports as text: objects in, the lines that matter out.

use serde_json::{Value, json};

use super::dials::{Failed, Outcome};
use super::facts::Facts;
use super::{findings, report};

/// A cluster of two nodes; `ready` pods of `app: web` with their nodes.
fn facts(spec: &Value, ready: &[(&str, &str)]) -> Facts {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "type": "ClusterIP", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"],
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}], "selector": {"app": "web"},
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        service["spec"][name] = value.clone();
    }
    let endpoint = |(address, node): &(&str, &str)| {
        json!({"addresses": [address], "nodeName": node, "conditions": {"ready": true},
               "targetRef": {"kind": "Pod", "name": format!("web-{node}")}})
    };
    let endpoints: Vec<Value> = ready.iter().map(endpoint).collect();
    let slice = json!({"addressType": "IPv4", "ports": [{"name": "", "port": 8080}], "endpoints": endpoints});
    let pod = |(address, node): &(&str, &str)| {
        json!({
            "metadata": {"name": format!("web-{node}"), "labels": {"app": "web"}},
            "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIPs": [{"ip": address}],
                       "conditions": [{"type": "Ready", "status": "True"}]},
        })
    };
    let node = |(name, address): (&str, &str)| {
        json!({"metadata": {"name": name}, "status": {"addresses": [
            {"type": "InternalIP", "address": address}, {"type": "InternalIP", "address": format!("fd00::{name}").replace("node-", "")},
        ]}})
    };
    let nodes = [("node-1", "192.0.2.1"), ("node-2", "192.0.2.2")].map(node);
    Facts {
        service: serde_json::from_value(service).unwrap(),
        slices: vec![serde_json::from_value(slice).unwrap()],
        pods: ready
            .iter()
            .map(|one| serde_json::from_value(pod(one)).unwrap())
            .collect(),
        nodes: nodes
            .map(|node| serde_json::from_value(node).unwrap())
            .into(),
        events: Vec::new(),
        failed_dials: Vec::new(),
    }
}

#[track_caller]
fn check(facts: &Facts, parts: &[&str], absent: &[&str]) {
    let text = report::of(facts, &findings::of(facts));
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    for part in absent {
        assert!(!text.contains(part), "{part:?} is in\n{text}");
    }
}

const BOTH: [(&str, &str); 2] = [("10.244.0.2", "node-1"), ("10.244.1.2", "node-2")];

#[test]
fn a_load_balancers_path_has_every_address_filled_in() {
    let mut facts = facts(
        &json!({"type": "LoadBalancer", "ports": [{"port": 5000, "targetPort": 8080, "nodePort": 36181}]}),
        &BOTH,
    );
    facts.service.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}})).ok();
    let parts = [
        "PORT(S) 5000:36181/TCP",
        "client -> 198.51.100.7:5000   the load balancer's address",
        "-> 192.0.2.1:36181, 192.0.2.2:36181   any node, by its node port",
        "-> 10.244.0.2:8080 or 10.244.1.2:8080",
        "pod -> 10.96.0.9:5000 -> 10.244.0.2:8080 or 10.244.1.2:8080",
        "Nothing stops a packet.",
    ];
    check(&facts, &parts, &["Where it stops", "fd00"]);
}

#[test]
fn under_policy_local_each_node_is_told_by_itself() {
    let mut facts = facts(
        &json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local",
               "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]}),
        &BOTH[..1],
    );
    facts.service.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}})).ok();
    let parts = [
        "-> node-1   a node with a pod of its own, the packet as it is: the pod sees the client's address",
        "client -> 192.0.2.1:30080 -> 10.244.0.2:8080, the client's address kept",
        "client -> 192.0.2.2:30080 -> no pod here: no answer (externalTrafficPolicy is Local)",
        "only those of its own node (internalTrafficPolicy is Local)",
        "spec.externalTrafficPolicy is Local, and no pod that is ready runs on node-2",
        "spec.internalTrafficPolicy is Local, and no pod that is ready runs on node-2",
    ];
    check(&facts, &parts, &[]);
}

#[test]
fn an_endpoint_that_refuses_is_told_although_all_objects_are_right() {
    let mut facts = facts(&json!({}), &BOTH);
    let failed = |address: &str, outcome| Failed {
        address: address.to_owned(),
        port: 8080,
        outcome,
    };
    facts.failed_dials = vec![failed("10.244.0.2", Outcome::Refused)];
    let told = "port 80: 10.244.0.2:8080 refuses connections: nothing listens there (the pod declares 8080)";
    check(
        &facts,
        &[told, "Good to know", "Nothing stops a packet."],
        &["Where it stops"],
    );
    facts
        .failed_dials
        .push(failed("10.244.1.2", Outcome::Silent));
    let silent = "port 80: 10.244.1.2:8080 gives no answer";
    check(
        &facts,
        &[told, silent, "Where it stops"],
        &["Nothing stops"],
    );
}

#[test]
fn a_selector_that_misses_names_the_pod_that_is_meant() {
    let mut facts = facts(&json!({"selector": {"app": "wbe"}}), &BOTH);
    let mut other = facts.pods[0].clone();
    other.metadata.name = Some("database".to_owned());
    other.metadata.labels = serde_json::from_value(json!({"app": "database"})).unwrap();
    facts.pods.insert(0, other);
    let told = "spec.selector app=wbe matches no pod of namespace default. Nearest: pod web-node-1 has app=web instead of wbe.";
    check(&facts, &[told], &["database"]);
}

#[test]
fn a_target_port_whose_name_no_container_has_is_told() {
    let mut facts = facts(
        &json!({"ports": [{"port": 80, "targetPort": "htpt"}]}),
        &BOTH,
    );
    facts.slices.clear();
    check(
        &facts,
        &["targetPort \"htpt\" is no container port's name"],
        &[],
    );
}

#[test]
fn each_family_has_paths_of_its_own() {
    let facts = facts(
        &json!({"type": "NodePort", "clusterIPs": ["10.96.0.9", "fd00:10::9"], "ipFamilies": ["IPv4", "IPv6"],
               "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]}),
        &BOTH,
    );
    let parts = [
        "client -> 192.0.2.1:30080, 192.0.2.2:30080",
        "client -> [fd00::1]:30080, [fd00::2]:30080",
        "pod -> [fd00:10::9]:80 -> no pod: connections are refused",
    ];
    check(&facts, &parts, &[]);
}

#[test]
fn headless_and_external_names_have_no_paths_but_traps() {
    check(
        &facts(&json!({"clusterIPs": ["None"]}), &BOTH),
        &[
            "80     of no meaning",
            "clients dial 10.244.0.2:8080 or 10.244.1.2:8080",
        ],
        &["From pods and nodes"],
    );
    let name = |name: &str| facts(&json!({"type": "ExternalName", "externalName": name}), &[]);
    check(
        &name("10.0.0.5"),
        &["spec.externalName is \"10.0.0.5\", which looks like an address"],
        &["Nothing stops"],
    );
    check(
        &name("example.com"),
        &["cluster DNS answers with example.com"],
        &["Where it stops"],
    );
}

#[test]
fn a_pending_load_balancer_tells_the_last_warning() {
    let mut pending = facts(&json!({"type": "LoadBalancer"}), &BOTH);
    check(
        &pending,
        &[
            "no load balancer has said anything",
            "From outside: not yet",
        ],
        &[],
    );
    let warning = json!({"metadata": {}, "involvedObject": {}, "type": "Warning", "message": "the pool is exhausted"});
    pending.events = vec![serde_json::from_value(warning).unwrap()];
    check(
        &pending,
        &["The last warning says: the pool is exhausted"],
        &[],
    );
}
