//! The nftables data plane against the real kernel, in namespaces of the test's own (root).
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

use dataplane::{Applied, Dataplane, Nftables, Rendered};
use forwarding::{Endpoint, Node, Planner, Service, ServiceName, ServicePort, TrafficPolicy};
use forwarding::{ForwardingTable, Protocol};
use kernel::NetNs;
use std::net::IpAddr;
use std::time::Instant;

/// Runs a test inside a namespace that nothing leads out of and that ends with it.
fn in_namespace<T: Send>(work: impl FnOnce(Nftables) -> T + Send) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node");
    let namespace = NetNs::create(&path).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        namespace.run(|| work(Nftables::open().unwrap())).unwrap()
    }));
    NetNs::delete(&path).unwrap();
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn node() -> Node {
    Node {
        name: "a".into(),
        node_port_addresses: vec![address("192.0.2.1"), address("2001:db8::1")],
        local_addresses: vec![address("192.0.2.1"), address("2001:db8::1")],
        local_cidrs: vec![
            "10.0.0.0/16".parse().unwrap(),
            "fd00:10::/48".parse().unwrap(),
        ],
        service_cidrs: vec![
            "10.96.0.0/12".parse().unwrap(),
            "fd00:96::/112".parse().unwrap(),
        ],
        ..Node::default()
    }
}

fn endpoints(count: u8) -> Vec<Endpoint> {
    let on = |node: &str, address: IpAddr| Endpoint {
        node: Some(node.into()),
        ..Endpoint::ready(address, 8080)
    };
    let v4 = (1..=count).map(|n| {
        on(
            if n % 2 == 0 { "a" } else { "b" },
            IpAddr::from([10, 0, 0, n]),
        )
    });
    let v6 = (1..=count).map(|n| on("a", format!("fd00:10::{n:x}").parse().unwrap()));
    v4.chain(v6).collect()
}

fn service(number: u8, endpoint_count: u8) -> (ServiceName, Service) {
    let port = ServicePort {
        name: "".into(),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: Some(30000 + u16::from(number)),
        endpoints: endpoints(endpoint_count),
    };
    let service = Service {
        cluster_ips: vec![
            IpAddr::from([10, 96, 0, number]),
            format!("fd00:96::{number:x}").parse().unwrap(),
        ],
        load_balancer_ips: vec![IpAddr::from([198, 18, 1, number])],
        external_policy: TrafficPolicy::Local,
        ports: vec![port],
        ..Service::default()
    };
    (ServiceName::new("default", &format!("s{number}")), service)
}

/// What a fresh load of a table puts into the kernel.
fn loaded(table: &ForwardingTable) -> Rendered {
    in_namespace(|mut dataplane| {
        dataplane.adopt(table).unwrap();
        dataplane.read_back().unwrap()
    })
}

/// Every kind of change, one after the other, from a table that has nothing.
fn history(planner: &mut Planner, mut each: impl FnMut(&Planner, Vec<forwarding::Change>)) {
    let (name, plain) = service(1, 3);
    let sticky = Service {
        affinity_seconds: Some(600),
        ..plain.clone()
    };
    let guarded = Service {
        source_ranges: vec!["203.0.113.0/24".parse().unwrap()],
        ..sticky.clone()
    };
    let steps = [
        Some(plain.clone()),
        Some(service(1, 0).1),
        Some(service(1, 40).1),
        Some(sticky),
        Some(Service {
            affinity_seconds: Some(600),
            ..service(1, 2).1
        }),
        Some(guarded),
        Some(Service {
            source_ranges: vec!["0.0.0.0/0".parse().unwrap()],
            ..plain
        }),
        None,
    ];
    for step in steps {
        let changes = planner.set_service(&name, step);
        each(planner, changes);
        let (other, state) = service(2, 3);
        let changes = planner.set_service(&other, Some(state));
        each(planner, changes);
    }
    let changes = planner.set_node(Node {
        name: "b".into(),
        local_cidrs: Vec::new(),
        ..node()
    });
    each(planner, changes);
}

#[test]
fn changes_lead_to_what_a_fresh_load_gives() {
    let mut planner = Planner::new(node());
    in_namespace(|mut dataplane| {
        dataplane.adopt(planner.table()).unwrap();
        history(&mut planner, |planner, changes| {
            dataplane.apply(&changes).unwrap();
            let (changed, fresh) = (dataplane.read_back().unwrap(), loaded(planner.table()));
            let numberless = |mut rendered: Rendered| {
                // Numbers of endpoints depend on history: everything else may not.
                rendered.retain(|map, _| !map.starts_with("sticky"));
                rendered
            };
            assert_eq!(numberless(changed.clone()), numberless(fresh.clone()));
            let keys = |rendered: &Rendered| {
                rendered
                    .values()
                    .map(std::collections::BTreeMap::len)
                    .sum::<usize>()
            };
            assert_eq!(keys(&changed), keys(&fresh), "{changed:#?} {fresh:#?}");
        });
    });
}

#[test]
fn a_restart_changes_nothing_that_is_right() {
    in_namespace(|mut dataplane| {
        let mut planner = Planner::new(node());
        let (name, state) = service(1, 3);
        planner.set_service(
            &name,
            Some(Service {
                affinity_seconds: Some(10800),
                ..state
            }),
        );
        let (other, state) = service(2, 40);
        planner.set_service(&other, Some(state));
        assert!(dataplane.adopt(planner.table()).unwrap().operations > 0);
        let before = dataplane.read_back().unwrap();
        drop(dataplane);
        let mut next = Nftables::open().unwrap();
        assert_eq!(next.adopt(planner.table()).unwrap().operations, 0);
        assert_eq!(next.read_back().unwrap(), before);
        let changes = planner.set_service(&other, None);
        next.apply(&changes).unwrap();
        assert!(
            !next
                .read_back()
                .unwrap()
                .values()
                .flatten()
                .any(|(k, _)| k.contains("10.96.0.2:"))
        );
    });
}

#[test]
fn one_endpoint_among_ten_thousand_services_costs_one_small_transaction() {
    in_namespace(|mut dataplane| {
        let mut planner = Planner::new(node());
        let many = (0..10_000_u16).map(|n| {
            let [high, low] = n.to_be_bytes();
            let mut state = service(1, 2).1;
            state.cluster_ips = vec![IpAddr::from([10, 97, high, low])];
            state.load_balancer_ips.clear();
            state.ports[0].node_port = None;
            (ServiceName::new("default", &format!("s{n}")), state)
        });
        many.for_each(|(name, state)| {
            planner.set_service(&name, Some(state));
        });
        let start = Instant::now();
        dataplane.adopt(planner.table()).unwrap();
        let cold = start.elapsed();
        let name = ServiceName::new("default", "s5000");
        let mut state = planner.service(&name).unwrap().clone();
        state.ports[0].endpoints.truncate(1);
        let start = Instant::now();
        let changes = planner.set_service(&name, Some(state));
        let applied = dataplane.apply(&changes).unwrap();
        let warm = start.elapsed();
        println!("cold {cold:?}, one change {warm:?}");
        // The verdict is replaced and one slot goes; its hairpin stays for the other Services.
        assert_eq!(
            applied,
            Applied {
                operations: 3,
                transactions: 1,
                texts: 0
            }
        );
    });
}

/// What each kind of change costs beside so many other Services.
fn costs(others: u16) -> Vec<(&'static str, Applied)> {
    in_namespace(|mut dataplane| {
        let mut planner = Planner::new(node());
        for n in 0..others {
            let [high, low] = n.to_be_bytes();
            let mut state = service(1, 4).1;
            state.cluster_ips = vec![IpAddr::from([10, 97, high, low])];
            state.load_balancer_ips.clear();
            state.ports[0].node_port = None;
            planner.set_service(&ServiceName::new("default", &format!("o{n}")), Some(state));
        }
        dataplane.adopt(planner.table()).unwrap();
        let (name, three) = service(1, 3);
        let steps = [
            ("a Service comes", Some(three.clone())),
            ("nothing changes", Some(three.clone())),
            ("an endpoint comes", Some(service(1, 4).1)),
            ("an endpoint goes", Some(three.clone())),
            (
                "its policy changes",
                Some(Service {
                    external_policy: TrafficPolicy::Cluster,
                    ..three.clone()
                }),
            ),
            ("its endpoints go", Some(service(1, 0).1)),
            ("they come back", Some(three)),
            ("the Service goes", None),
        ];
        let cost = |(what, state)| {
            let changes = planner.set_service(&name, state);
            (what, dataplane.apply(&changes).unwrap())
        };
        steps.into_iter().map(cost).collect()
    })
}

#[test]
fn a_change_costs_what_it_changes_whatever_else_is_there() {
    let (few, many) = (costs(10), costs(1000));
    assert_eq!(few, many);
    for (what, applied) in few {
        match what {
            "nothing changes" => assert_eq!(applied, Applied::default()),
            _ => {
                assert_eq!((applied.transactions, applied.texts), (1, 0), "{what}");
                // Of each of six frontends: a verdict or two, and a slot per endpoint.
                assert!(applied.operations <= 60, "{what}: {applied:?}");
            }
        }
    }
}

#[test]
fn cleaning_up_leaves_nothing() {
    in_namespace(|mut dataplane| {
        let mut planner = Planner::new(node());
        let (name, state) = service(1, 3);
        planner.set_service(&name, Some(state));
        dataplane.adopt(planner.table()).unwrap();
        dataplane.clean_up().unwrap();
        dataplane.clean_up().unwrap();
        let mut elements = kernel::nft::Elements::open(kernel::nft::INET, "fairway").unwrap();
        assert!(!elements.table_exists().unwrap());
    });
}
