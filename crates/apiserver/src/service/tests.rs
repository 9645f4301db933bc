use bytes::Bytes;
use serde_json::json;
use store::{Embedded, Transaction, TransactionOutcome};

use super::*;
use crate::codec;

/// A registry over an empty store with one range, and the hook.
struct Cluster {
    registry: Arc<Registry>,
    services: Services,
    _folder: tempfile::TempDir,
}

impl Cluster {
    async fn start(cidr: &str, node_ports: std::ops::RangeInclusive<u16>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path().join("store.redb")).unwrap();
        let registry = Registry::load(Arc::new(store)).await.unwrap();
        tokio::spawn(registry.clone().follow());
        let mut config = Config::new(folder.path());
        config.service_cidrs = vec![cidr.parse().unwrap()];
        config.node_ports = node_ports;
        let services = Services {
            books: Arc::new(Books::new(&config, &registry)),
        };
        let cluster = Self {
            registry,
            services,
            _folder: folder,
        };
        let range = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [cidr]}});
        let key = keys::object(kind("networking.k8s.io", "servicecidrs"), "", "kubernetes");
        cluster.put(key, codec::encode(&range)).await;
        cluster
    }

    async fn put(&self, key: Bytes, value: Bytes) {
        let operations = vec![Operation::Put { key, value }];
        let transaction = Transaction {
            compares: Vec::new(),
            operations,
        };
        self.registry.store().transact(transaction).await.unwrap();
    }

    fn context<'a>(
        old: Option<&'a Value>,
        new: Option<&'a mut Value>,
        dry_run: bool,
    ) -> WriteContext<'a> {
        let (resource, part) = (kind("", "services"), Part::Main);
        WriteContext {
            resource,
            part,
            old,
            new,
            dry_run,
            attempt: 0,
        }
    }

    /// One round of a write; `None` when the race was lost.
    async fn write(
        &self,
        old: Option<&Value>,
        new: Option<&mut Value>,
    ) -> Result<Option<()>, String> {
        let context = Self::context(old, new, false);
        let reservation = self
            .services
            .reserve(context)
            .await
            .map_err(|status| status.message)?;
        Ok(self.commit(reservation).await)
    }

    async fn commit(&self, reservation: Reservation) -> Option<()> {
        let hold = reservation.hold.unwrap();
        let operations = reservation
            .before
            .into_iter()
            .chain(reservation.after)
            .collect();
        let transaction = Transaction {
            compares: reservation.compares,
            operations,
        };
        match self.registry.store().transact(transaction).await.unwrap() {
            TransactionOutcome::Committed { .. } => {
                hold.commit();
                Some(())
            }
            TransactionOutcome::Failed { compare, actual } => {
                assert!(matches!(
                    hold.lost(compare, actual.as_ref()),
                    crate::reserve::Lost::Retry
                ));
                None
            }
        }
    }
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"namespace": "n", "name": name}, "spec": spec})
}

fn node_port(port: i64) -> Value {
    service(
        "web",
        &json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "nodePort": port}]}),
    )
}

#[tokio::test]
async fn an_address_is_an_object_and_goes_with_the_service() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=30_010).await;
    let mut web = service("web", &json!({"type": "ClusterIP"}));
    cluster.write(None, Some(&mut web)).await.unwrap().unwrap();
    let address = web["spec"]["clusterIP"].as_str().unwrap().to_owned();
    cluster.registry.fresh().await.unwrap();
    let addresses = cluster.registry.kind("networking.k8s.io", "ipaddresses");
    let object = addresses.get("", &address).unwrap().value();
    assert_eq!(
        object["spec"]["parentRef"],
        json!({"resource": "services", "namespace": "n", "name": "web"})
    );
    let mut other = service("other", &json!({"type": "ClusterIP", "clusterIP": address}));
    let refused = cluster
        .write(None, Some(&mut other.clone()))
        .await
        .unwrap_err();
    assert!(
        refused.ends_with("provided IP is already allocated"),
        "{refused}"
    );
    cluster.write(Some(&web), None).await.unwrap().unwrap();
    cluster
        .write(None, Some(&mut other))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_port_belongs_to_one_service_until_it_goes() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=30_010).await;
    let mut web = node_port(30_001);
    cluster.write(None, Some(&mut web)).await.unwrap().unwrap();
    let refused = cluster
        .write(None, Some(&mut node_port(30_001)))
        .await
        .unwrap_err();
    assert!(
        refused.ends_with("30001: provided port is already allocated"),
        "{refused}"
    );
    let refused = cluster
        .write(None, Some(&mut node_port(30_011)))
        .await
        .unwrap_err();
    assert!(
        refused.ends_with("The range of valid ports is 30000-30010"),
        "{refused}"
    );
    cluster.write(Some(&web), None).await.unwrap().unwrap();
    cluster
        .write(None, Some(&mut node_port(30_001)))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_range_is_used_to_the_last_port_and_no_further() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=30_010).await;
    let mut all = Vec::new();
    for _ in 30_000..=30_010 {
        let mut web = node_port(0);
        cluster.write(None, Some(&mut web)).await.unwrap().unwrap();
        all.push(web);
    }
    let refused = cluster
        .write(None, Some(&mut node_port(0)))
        .await
        .unwrap_err();
    assert!(
        refused.ends_with("failed to allocate a nodePort: range is full"),
        "{refused}"
    );
    cluster.write(all.last(), None).await.unwrap().unwrap();
    let mut web = node_port(0);
    cluster.write(None, Some(&mut web)).await.unwrap().unwrap();
    let last = &all[10]["spec"]["ports"][0]["nodePort"];
    assert_eq!(&web["spec"]["ports"][0]["nodePort"], last);
}

#[tokio::test]
async fn what_is_under_way_is_taken_until_it_is_dropped() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=30_010).await;
    let mut web = node_port(30_001);
    let context = Cluster::context(None, Some(&mut web), false);
    let first = cluster.services.reserve(context).await.unwrap();
    cluster
        .write(None, Some(&mut node_port(30_001)))
        .await
        .unwrap_err();
    drop(first);
    cluster
        .write(None, Some(&mut node_port(30_001)))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_lost_race_teaches_and_is_run_again() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=30_001).await;
    cluster
        .write(None, Some(&mut node_port(30_000)))
        .await
        .unwrap()
        .unwrap();
    // Another server takes the last port between the pick and the commit.
    let mut web = node_port(0);
    let context = Cluster::context(None, Some(&mut web), false);
    let reservation = cluster.services.reserve(context).await.unwrap();
    cluster
        .put(ports::key(30_001), Bytes::from_static(b"n/faster"))
        .await;
    assert_eq!(cluster.commit(reservation).await, None);
    let refused = cluster
        .write(None, Some(&mut node_port(0)))
        .await
        .unwrap_err();
    assert!(refused.ends_with("range is full"), "{refused}");
}

#[tokio::test]
async fn a_dry_run_shows_network_address_and_counted_ports() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=32_767).await;
    let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [
        {"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]});
    let mut web = service("web", &spec);
    let context = Cluster::context(None, Some(&mut web), true);
    let reservation = cluster.services.reserve(context).await.unwrap();
    assert!(reservation.compares.is_empty() && reservation.hold.is_none());
    assert_eq!(web["spec"]["clusterIP"], "10.96.0.0");
    assert_eq!(web["spec"]["ports"][0]["nodePort"], 32_769);
    assert_eq!(web["spec"]["healthCheckNodePort"], 32_771);
    let mut far = service(
        "web",
        &json!({"type": "ClusterIP", "clusterIP": "10.0.0.5"}),
    );
    let context = Cluster::context(None, Some(&mut far), true);
    let refused = cluster
        .services
        .reserve(context)
        .await
        .err()
        .unwrap()
        .message;
    assert!(
        refused.ends_with("The range of valid IPs is 10.96.0.0/16"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_service_without_a_name_books_nothing() {
    let cluster = Cluster::start("10.96.0.0/16", 30_000..=32_767).await;
    let mut web = service("", &json!({"type": "ClusterIP", "clusterIP": "10.96.0.7"}));
    let refused = cluster.write(None, Some(&mut web)).await.unwrap_err();
    assert!(
        refused.ends_with(
            "failed to allocate IP 10.96.0.7: IPAddress.networking.k8s.io \"10.96.0.7\" is invalid: \
             spec.parentRef.name: Required value"
        ),
        "{refused}"
    );
    let mut named = service(
        "web",
        &json!({"type": "ClusterIP", "clusterIP": "10.96.0.7"}),
    );
    cluster
        .write(None, Some(&mut named))
        .await
        .unwrap()
        .unwrap();
}
