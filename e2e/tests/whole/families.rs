//! Two families of addresses, and two clusters side by side that know nothing of each other.

use std::net::IpAddr;

use e2e::workload::web;
use e2e::{Host, Product};

const DUAL: [&str; 4] = [
    "--nodes",
    "2",
    "--service-cidr",
    "10.96.0.0/16,fd00:10:96::/112",
];

#[test]
fn two_dual_stack_clusters_side_by_side_answer_over_both_families() {
    let (one, other) = (Host::new(), Host::new());
    let (first, second) = (Product::new(&one, "data"), Product::new(&other, "data"));
    // With the same ranges, addresses and names: they are on hosts of their own.
    first.up(&DUAL);
    second.up(&DUAL);
    for product in [&first, &second] {
        product.apply(&web(2, "1", "  ipFamilyPolicy: RequireDualStack\n"));
        both_families_answer(product);
    }
    first.run(&["down"]);
    both_families_answer(&second);
    second.run(&["down"]);
}

fn both_families_answer(product: &Product<'_>) {
    let pods = |member: &str, pointer: &str, port: u16| {
        for family in ["0", "1"] {
            let pointer = pointer.replace('N', family);
            let mut address = String::new();
            product.until("the Service has addresses of both families", || {
                address = product.field("service", "web", &pointer);
                !address.is_empty()
            });
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(address.is_ipv6(), family == "1");
            let answer = product.answer(member, address, port);
            assert!(answer.starts_with("pod=web-"), "{answer}");
        }
    };
    pods("client", "/status/loadBalancer/ingress/N/ip", 80);
    pods("node-1", "/spec/clusterIPs/N", 80);
    let node_port: u16 = product
        .field("service", "web", "/spec/ports/0/nodePort")
        .parse()
        .unwrap();
    for node in ["198.18.0.12", "fd46:6177::c"] {
        product.answer("client", node.parse().unwrap(), node_port);
    }
}
