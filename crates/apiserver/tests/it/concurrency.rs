//! Many writers at once.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::{CONFIG_MAPS, Cluster, ask, version};

const WRITERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creators_of_a_name_wins() {
    let cluster = Cluster::start().await;
    let mut creators = JoinSet::new();
    for writer in 0..WRITERS {
        let service = cluster.server.service();
        let body = json!({"metadata": {"name": "one"}, "data": {"by": writer.to_string()}});
        creators.spawn(async move { ask(service, "POST", CONFIG_MAPS, &body).await });
    }
    let answers = creators.join_all().await;
    let winners: Vec<&Value> = answers
        .iter()
        .filter(|a| a.0 == 201)
        .map(|a| &a.1)
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(
        answers.iter().filter(|answer| answer.0 == 409).count(),
        WRITERS - 1
    );
    let (_, stored) = cluster
        .ask("GET", &format!("{CONFIG_MAPS}/one"), &Value::Null)
        .await;
    assert_eq!(&stored, winners[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_patch_is_lost_and_a_stale_replace_is_refused() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", &json!({})).await;
    let mut patchers = JoinSet::new();
    for writer in 0..WRITERS {
        let service = cluster.server.service();
        let patch = json!({"data": {format!("k{writer}"): "v"}});
        let path = format!("{CONFIG_MAPS}/a");
        patchers.spawn(async move { ask(service, "PATCH", &path, &patch).await.0 });
    }
    assert_eq!(patchers.join_all().await, vec![200; WRITERS]);
    let (_, patched) = cluster
        .ask("GET", &format!("{CONFIG_MAPS}/a"), &Value::Null)
        .await;
    assert_eq!(patched["data"].as_object().unwrap().len(), WRITERS);
    let stale = json!({"metadata": {"name": "a", "resourceVersion": version(&made)}});
    let (code, _) = cluster
        .ask("PUT", &format!("{CONFIG_MAPS}/a"), &stale)
        .await;
    assert_eq!(code, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_made_at_once_have_different_addresses_and_ports() {
    let cluster = Cluster::start().await;
    let path = "/api/v1/namespaces/default/services";
    let mut creators = JoinSet::new();
    for writer in 0..WRITERS {
        let service = cluster.server.service();
        let body = json!({"metadata": {"name": format!("s{writer}")},
            "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
        creators.spawn(async move { ask(service, "POST", path, &body).await });
    }
    let answers = creators.join_all().await;
    let distinct = |pointer: &str| {
        let all = answers
            .iter()
            .map(|(_, made)| made.pointer(pointer).unwrap().to_string());
        all.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(distinct("/spec/clusterIP"), WRITERS);
    assert_eq!(distinct("/spec/ports/0/nodePort"), WRITERS);
}
