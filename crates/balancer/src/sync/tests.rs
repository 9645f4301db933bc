//! The real kernel, in a namespace of the test's own.

use std::path::PathBuf;

use kernel::NetNs;

use super::*;
use crate::model::{Check, Frontend, Model, Node, Protocol, Way};
use crate::plan::{Health, plan};

/// A namespace with a link `lan0` that ends with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("fairway-balancer-{name}-{}", std::process::id()));
        NetNs::create(&path).expect("tests that make namespaces run as root");
        Self(path)
    }

    /// Runs in the namespace, on a runtime of its own.
    fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let namespace = NetNs::open(&self.0).expect("just made");
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        };
        namespace
            .run(|| runtime().expect("a runtime").block_on(work()))
            .expect("a thread of its own")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = NetNs::delete(&self.0);
    }
}

fn desired(nodes: u8, frontends: u16) -> Arc<Desired> {
    let node = |n: u8| Node {
        name: format!("node-{n}"),
        addresses: vec![
            IpAddr::from([198, 18, 0, 10 + n]),
            "fd46::11".parse().expect("an address"),
        ],
        leaving: false,
    };
    let frontend = |port: u16| Frontend {
        service: format!("n/web-{port}"),
        address: if port.is_multiple_of(2) {
            IpAddr::from([198, 18, 1, 1])
        } else {
            "fd46:1::1".parse().expect("an address")
        },
        port,
        protocol: if port.is_multiple_of(5) {
            Protocol::Udp
        } else {
            Protocol::Tcp
        },
        way: if port < 5 {
            Way::Translate {
                node_port: 30000 + port,
            }
        } else {
            Way::HandOver
        },
        source_ranges: vec!["198.18.0.0/16".parse().expect("a range")]
            .into_iter()
            .filter(|_| port.is_multiple_of(2))
            .collect(),
        check: Check::Proxy,
        affinity: port.is_multiple_of(3),
    };
    let model = Model {
        frontends: (0..frontends).map(|n| frontend(n + 1)).collect(),
        nodes: (1..=nodes).map(node).collect(),
    };
    Arc::new(plan(&model, &Health::default(), &Desired::default()))
}

async fn add_link() {
    let netlink = Netlink::here().expect("netlink");
    netlink.add_bridge("lan0").await.expect("a link");
    let link = netlink.link("lan0").await.expect("just made");
    netlink.set_up(link.index, true).await.expect("up");
    let own = "198.18.0.3/24".parse().expect("an address");
    netlink
        .set_address(link.index, own)
        .await
        .expect("an address");
}

#[test]
fn a_restarted_balancer_adopts_rules_and_addresses_and_changes_nothing() {
    let own = vec![IpAddr::from([198, 18, 0, 3])];
    Place::new("adopt").run(async || {
        add_link().await;
        let wanted = desired(3, 12);
        let mut first = Kernel::adopt("lan0", own.clone())
            .await
            .expect("an empty place");
        first.apply(&wanted).await.expect("applied");
        let second = Kernel::adopt("lan0", own.clone()).await.expect("adopted");
        assert_eq!(second.addresses, wanted.addresses);
        let tables = second.tables.as_ref().expect("at hand");
        for table in [&tables.translate, &tables.hand_over] {
            let difference = table.operations(&wanted);
            assert_eq!(difference, [], "in {}", table.rules.version);
        }
    });
}

#[test]
fn addresses_that_others_have_put_on_the_link_stay() {
    let own = vec![IpAddr::from([198, 18, 0, 3])];
    Place::new("foreign").run(async || {
        add_link().await;
        let foreign = "198.18.0.200/32".parse().expect("an address");
        let netlink = Netlink::here().expect("netlink");
        let link = netlink.link("lan0").await.expect("a link").index;
        netlink
            .set_address(link, foreign)
            .await
            .expect("an address");
        let mut first = Kernel::adopt("lan0", own.clone()).await.expect("a place");
        first.apply(&desired(3, 2)).await.expect("applied");
        let mut second = Kernel::adopt("lan0", own).await.expect("adopted");
        assert_eq!(second.addresses.len(), 2);
        let nothing = Arc::new(Desired::default());
        second.apply(&nothing).await.expect("emptied");
        let left = netlink.addresses(link).await.expect("addresses");
        let left: Vec<_> = left
            .into_iter()
            .filter(|a| a.prefix_len() == a.max_prefix_len())
            .collect();
        assert_eq!(left, [foreign]);
    });
}

#[test]
fn losing_a_node_writes_little_more_than_its_slots() {
    let own = vec![IpAddr::from([198, 18, 0, 3])];
    Place::new("lose").run(async || {
        add_link().await;
        let mut kernel = Kernel::adopt("lan0", own).await.expect("an empty place");
        kernel.apply(&desired(4, 1)).await.expect("applied");
        let after = desired(3, 1);
        let translate = &kernel.tables.as_ref().expect("at hand").translate;
        let changed = translate.operations(&after).len();
        let share = 2 * forwarding::RING_SIZE / 4;
        assert!(
            changed < share + share / 10,
            "{changed} operations for {share} slots written"
        );
        kernel.apply(&after).await.expect("applied");
        let nothing = Arc::new(Desired::default());
        kernel.apply(&nothing).await.expect("emptied");
        assert!(kernel.addresses.is_empty());
    });
}

#[test]
fn one_change_among_many_frontends_is_all_that_is_written_and_leads_to_the_same() {
    let own = vec![IpAddr::from([198, 18, 0, 3])];
    Place::new("one").run(async || {
        add_link().await;
        let mut kernel = Kernel::adopt("lan0", own.clone())
            .await
            .expect("an empty place");
        // One more, one less, then another address for everybody, then nothing, then all again.
        for frontends in [60, 61, 60, 1, 0, 60] {
            let before = kernel.tables.as_ref().expect("at hand");
            let wanted = desired(3, frontends);
            let operations: usize = [&before.translate, &before.hand_over]
                .iter()
                .map(|table| table.operations(&wanted).len())
                .sum();
            if frontends == 61 {
                // The way to its ring, and the way of errors about it.
                assert_eq!(operations, 2, "for a frontend that is handed over");
            }
            kernel.apply(&wanted).await.expect("applied");
            let adopted = Kernel::adopt("lan0", own.clone()).await.expect("adopted");
            let tables = adopted.tables.as_ref().expect("at hand");
            for table in [&tables.translate, &tables.hand_over] {
                let difference = table.operations(&wanted);
                assert_eq!(difference, [], "{frontends} in {}", table.rules.version);
            }
        }
    });
}
