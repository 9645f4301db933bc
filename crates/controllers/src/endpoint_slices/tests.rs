//! Tables for the plan of slices.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::plan::{Plan, World, plan};
use super::topology;

struct Stage {
    service: Service,
    pods: Vec<Arc<Pod>>,
    slices: Vec<Arc<EndpointSlice>>,
    nodes: Vec<Arc<Node>>,
    made: usize,
    notes: Vec<String>,
}

fn node(name: &str, zone: &str) -> Arc<Node> {
    let node = json!({"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"allocatable": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(name: &str, ip: &str, node: &str, ready: bool) -> Arc<Pod> {
    let ready = if ready { "True" } else { "False" };
    let pod = json!({"metadata": {"name": name, "namespace": "n", "uid": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": ready}]}});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn changed(pod: &Arc<Pod>, change: impl Fn(&mut Pod)) -> Arc<Pod> {
    let mut pod = (**pod).clone();
    change(&mut pod);
    Arc::new(pod)
}

impl Stage {
    fn new(spec: &Value) -> Self {
        let mut service = json!({"metadata": {"name": "web", "namespace": "n", "uid": "s"},
            "spec": {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}});
        for (key, value) in spec.as_object().unwrap() {
            service["spec"][key] = value.clone();
        }
        Self {
            service: serde_json::from_value(service).unwrap(),
            pods: Vec::new(),
            slices: Vec::new(),
            nodes: vec![node("a", "za"), node("b", "zb")],
            made: 0,
            notes: Vec::new(),
        }
    }

    /// Plans and carries out; gives the numbers of slices made, changed and deleted.
    fn step(&mut self) -> (usize, usize, usize) {
        let nodes: BTreeMap<_, _> = self
            .nodes
            .iter()
            .map(|node| (node.metadata.name.clone().unwrap(), Arc::clone(node)))
            .collect();
        let Plan {
            create,
            update,
            delete,
            notes,
            problems,
        } = plan(&World {
            service: &self.service,
            pods: &self.pods,
            slices: &self.slices,
            nodes: &nodes,
            shares: &topology::shares(&self.nodes),
            trigger: None,
        });
        let counts = (create.len(), update.len(), delete.len());
        self.notes
            .extend(notes.into_iter().map(|note| note.message).chain(problems));
        for mut slice in create {
            self.made += 1;
            slice.metadata.name = Some(format!("web-{}", self.made));
            self.slices.push(Arc::new(slice));
        }
        for slice in update {
            let old = self
                .slices
                .iter_mut()
                .find(|old| old.metadata.name == slice.metadata.name);
            *old.unwrap() = Arc::new(slice);
        }
        self.slices.retain(|slice| {
            !delete
                .iter()
                .any(|gone| gone.metadata.name == slice.metadata.name)
        });
        counts
    }

    fn sizes(&self) -> Vec<usize> {
        self.slices
            .iter()
            .map(|slice| super::pack::count(slice))
            .collect()
    }

    /// `address ready serving terminating`, by address.
    fn conditions(&self) -> Vec<String> {
        let endpoints = self
            .slices
            .iter()
            .flat_map(|slice| slice.endpoints.iter().flatten());
        let mut lines: Vec<_> = endpoints
            .map(|endpoint| {
                let said = endpoint.conditions.clone().unwrap();
                format!(
                    "{} {} {} {}",
                    endpoint.addresses[0],
                    said.ready.unwrap(),
                    said.serving.unwrap(),
                    said.terminating.unwrap()
                )
            })
            .collect();
        lines.sort();
        lines
    }

    fn zones_hinted(&self) -> Vec<String> {
        let endpoints = self
            .slices
            .iter()
            .flat_map(|slice| slice.endpoints.iter().flatten());
        let mut zones: Vec<_> = endpoints
            .filter_map(|endpoint| {
                Some(format!(
                    "{} {}",
                    endpoint.addresses[0],
                    endpoint.hints.as_ref()?.for_zones.as_ref()?[0].name
                ))
            })
            .collect();
        zones.sort();
        zones
    }
}

#[test]
fn a_service_without_pods_has_one_empty_slice_and_keeps_it() {
    let mut stage = Stage::new(&json!({}));
    assert_eq!(stage.step(), (1, 0, 0));
    assert_eq!(stage.step(), (0, 0, 0));
    assert!(stage.slices[0].endpoints.is_none() && stage.slices[0].ports.is_none());
    stage.pods = vec![pod("p", "10.1.0.1", "a", true)];
    assert_eq!(
        stage.step(),
        (0, 1, 0),
        "the placeholder becomes the first slice"
    );
    stage.pods.clear();
    assert_eq!(stage.step(), (0, 1, 0));
    assert_eq!(stage.sizes(), [0]);
    assert_eq!(stage.step(), (0, 0, 0));
}

#[test]
fn conditions_tell_ready_serving_and_terminating_apart() {
    let going = |pod: &mut Pod| pod.metadata.deletion_timestamp = Some(crate::time::now());
    let mut stage = Stage::new(&json!({}));
    let ready = pod("a", "10.1.0.1", "a", true);
    let unready = pod("b", "10.1.0.2", "a", false);
    stage.pods = vec![
        ready.clone(),
        unready.clone(),
        changed(&pod("c", "10.1.0.3", "a", true), going),
        changed(&pod("d", "10.1.0.4", "a", false), going),
    ];
    stage.step();
    let expected = [
        "10.1.0.1 true true false",
        "10.1.0.2 false false false",
        "10.1.0.3 false true true",
        "10.1.0.4 false false true",
    ];
    assert_eq!(stage.conditions(), expected);
    stage
        .service
        .spec
        .as_mut()
        .unwrap()
        .publish_not_ready_addresses = Some(true);
    assert_eq!(stage.step(), (0, 1, 0));
    let expected = [
        "10.1.0.1 true true false",
        "10.1.0.2 true false false",
        "10.1.0.3 true true true",
        "10.1.0.4 true false true",
    ];
    assert_eq!(stage.conditions(), expected);
}

#[test]
fn pods_that_ended_or_have_no_address_of_the_family_are_no_endpoints() {
    let mut stage = Stage::new(&json!({}));
    let failed = changed(&pod("a", "10.1.0.1", "a", false), |pod| {
        pod.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    });
    let none = changed(&pod("b", "10.1.0.2", "a", true), |pod| {
        pod.status.as_mut().unwrap().pod_ips = None;
    });
    stage.pods = vec![failed, none, pod("c", "fd00::1", "a", true)];
    stage.step();
    assert_eq!(stage.sizes(), [0]);
    stage.service.spec.as_mut().unwrap().ip_families =
        Some(vec!["IPv4".to_owned(), "IPv6".to_owned()]);
    stage.step();
    assert_eq!(stage.conditions(), ["fd00::1 true true false"]);
    stage.service.spec.as_mut().unwrap().ip_families = Some(vec!["IPv4".to_owned()]);
    assert_eq!(stage.step().2, 1, "the slice of the family that went");
}

#[test]
fn a_missing_node_leaves_its_pod_out_unless_unready_ones_are_published() {
    let mut stage = Stage::new(&json!({}));
    stage.pods = vec![pod("p", "10.1.0.1", "gone", true)];
    stage.step();
    assert_eq!(stage.sizes(), [0]);
    assert_eq!(
        stage.notes,
        ["skipping Pod p for Service n/web: Node gone Not Found"]
    );
    stage
        .service
        .spec
        .as_mut()
        .unwrap()
        .publish_not_ready_addresses = Some(true);
    stage.step();
    assert_eq!(stage.sizes(), [1]);
}

#[test]
fn a_named_port_with_two_numbers_makes_two_slices() {
    let mut stage = Stage::new(
        &json!({"ports": [{"name": "main", "port": 80, "targetPort": "http", "protocol": "TCP"}]}),
    );
    let other = changed(&pod("b", "10.1.0.2", "b", true), |pod| {
        pod.spec.as_mut().unwrap().containers[0]
            .ports
            .as_mut()
            .unwrap()[0]
            .container_port = 8081;
    });
    stage.pods = vec![pod("a", "10.1.0.1", "a", true), other];
    assert_eq!(stage.step(), (2, 0, 0));
    assert_eq!(stage.step(), (0, 0, 0));
}

#[test]
fn slices_hold_a_hundred_and_are_filled_without_moving_anything() {
    let mut stage = Stage::new(&json!({}));
    let many = |count: usize| {
        (0..count)
            .map(|n| {
                pod(
                    &format!("p{n:03}"),
                    &format!("10.1.{}.{}", n / 250, n % 250 + 1),
                    "a",
                    true,
                )
            })
            .collect::<Vec<_>>()
    };
    stage.pods = many(101);
    assert_eq!(stage.step(), (2, 0, 0));
    assert_eq!(stage.sizes(), [100, 1]);
    stage.pods = many(102);
    assert_eq!(stage.step(), (0, 1, 0));
    assert_eq!(stage.sizes(), [100, 2]);
    stage.pods = many(300);
    stage.step();
    assert_eq!(stage.sizes().iter().sum::<usize>(), 300);
    stage.pods.clear();
    stage.step();
    assert_eq!(stage.sizes(), [0], "one placeholder is left");
}

#[test]
fn traffic_distribution_hints_ready_endpoints_to_their_own_zone() {
    let mut stage = Stage::new(&json!({"trafficDistribution": "PreferClose"}));
    stage.pods = vec![
        pod("a", "10.1.0.1", "a", false),
        pod("b", "10.1.0.2", "b", true),
    ];
    stage.step();
    assert_eq!(stage.zones_hinted(), ["10.1.0.2 zb"]);
    assert_eq!(stage.step(), (0, 0, 0));
    stage.service.spec.as_mut().unwrap().traffic_distribution = None;
    assert_eq!(stage.step(), (0, 1, 0));
    assert!(stage.zones_hinted().is_empty());
}

#[test]
fn auto_hints_share_out_by_processors_and_give_up_when_too_few() {
    let mut stage = Stage::new(&json!({}));
    stage.service.metadata.annotations = Some(
        [(
            "service.kubernetes.io/topology-mode".to_owned(),
            "auto".to_owned(),
        )]
        .into(),
    );
    stage.pods = vec![
        pod("a", "10.1.0.1", "a", true),
        pod("b", "10.1.0.2", "b", true),
    ];
    stage.step();
    assert_eq!(stage.zones_hinted(), ["10.1.0.1 za", "10.1.0.2 zb"]);
    assert_eq!(stage.step(), (0, 0, 0));
    stage.pods.push(pod("c", "10.1.0.3", "a", true));
    stage.pods.push(pod("d", "10.1.0.4", "a", true));
    stage.step();
    let to_b = stage
        .zones_hinted()
        .iter()
        .filter(|line| line.ends_with("zb"))
        .count();
    assert_eq!(to_b, 2, "one of zone a is lent: {:?}", stage.zones_hinted());
    stage.pods.truncate(1);
    stage.step();
    assert!(stage.zones_hinted().is_empty());
    assert_eq!(
        stage.notes,
        [
            "Topology Aware Hints has been enabled, addressType: IPv4",
            "Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4",
        ]
    );
}
