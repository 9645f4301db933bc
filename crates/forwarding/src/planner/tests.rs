use super::*;
use crate::diff::diff;
use crate::model::Protocol;
use crate::snapshot::{Endpoint, ServicePort};
use proptest::prelude::*;

/// A small world in which Services get into each other's way: few addresses, few ports.
fn service() -> impl Strategy<Value = Service> {
    let endpoints = prop::collection::vec((1..5_u8, any::<bool>()), 0..4);
    (
        0..3_u8,
        0..3_u8,
        prop::option::of(30000..30002_u16),
        endpoints,
    )
        .prop_map(|(cluster, external, node_port, endpoints)| {
            let endpoint = |(n, ready): (u8, bool)| Endpoint {
                ready,
                ..Endpoint::ready(IpAddr::from([10, 0, 0, n]), 8080)
            };
            Service {
                cluster_ips: vec![IpAddr::from([10, 96, 0, cluster])],
                external_ips: vec![IpAddr::from([192, 0, 2, external])],
                ports: vec![ServicePort {
                    name: "".into(),
                    protocol: Protocol::Tcp,
                    port: 30000,
                    node_port,
                    endpoints: endpoints.into_iter().map(endpoint).collect(),
                }],
                ..Service::default()
            }
        })
}

proptest! {
    #[test]
    fn step_by_step_leads_where_a_fresh_build_does(
        steps in prop::collection::vec((0..4_u8, prop::option::of(service())), 1..20),
    ) {
        let node = Node {
            node_port_addresses: vec![IpAddr::from([192, 0, 2, 1])],
            ..Node::default()
        };
        let mut planner = Planner::new(node.clone());
        let mut snapshot = Snapshot { node, ..Snapshot::default() };
        for (number, state) in steps {
            let name = ServiceName::new("default", &number.to_string());
            let before = planner.table().clone();
            let changes = planner.set_service(&name, state.clone());
            match state {
                Some(state) => snapshot.services.insert(name, state),
                None => snapshot.services.remove(&name),
            };
            prop_assert_eq!(planner.table(), &build(&snapshot));
            prop_assert_eq!(changes.is_empty(), diff(&before, planner.table()).is_empty());
        }
    }
}
