//! ResourceQuotas and disruption budgets under many writers at once, without controllers: the tests count themselves.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, ask};

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const PODS: &str = "/api/v1/namespaces/default/pods";
const WRITERS: usize = 20;

/// Makes a quota whose count is `used` already.
async fn quota(cluster: &Cluster, hard: &Value, used: &Value) {
    let body = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    assert_eq!(cluster.ask("POST", QUOTAS, &body).await.0, 201);
    let status = json!({"status": {"hard": hard, "used": used}});
    let path = format!("{QUOTAS}/q/status");
    assert_eq!(cluster.ask("PATCH", &path, &status).await.0, 200);
}

async fn used(cluster: &Cluster) -> Value {
    let (_, quota) = cluster
        .ask("GET", &format!("{QUOTAS}/q"), &Value::Null)
        .await;
    quota["status"]["used"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_never_exceeded_and_nothing_is_charged_for_what_is_refused() {
    let cluster = Cluster::start().await;
    quota(
        &cluster,
        &json!({"services": "5"}),
        &json!({"services": "0"}),
    )
    .await;
    let mut creators = JoinSet::new();
    for writer in 0..WRITERS {
        let service = cluster.server.service();
        // Every third one is invalid for another reason.
        let port = if writer % 3 == 0 { 0 } else { 80 };
        let body = json!({"metadata": {"name": format!("s{writer}")}, "spec": {"ports": [{"port": port}]}});
        creators.spawn(async move { ask(service, "POST", SERVICES, &body).await.0 });
    }
    let codes = creators.join_all().await;
    let count = |code: u16| codes.iter().filter(|found| **found == code).count();
    assert_eq!((count(201), count(403), count(422)), (5, 8, 7), "{codes:?}");
    assert_eq!(used(&cluster).await, json!({"services": "5"}));
    let dry = json!({"metadata": {"name": "dry"}, "spec": {"ports": [{"port": 80}]}});
    let (code, _) = cluster
        .ask("POST", &format!("{SERVICES}?dryRun=All"), &dry)
        .await;
    assert_eq!(code, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_nobody_has_counted_refuses() {
    let cluster = Cluster::start().await;
    let hard = json!({"configmaps": "9"});
    quota(&cluster, &hard, &json!({})).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let body = json!({"metadata": {"name": "a"}});
    let (code, answer) = cluster.ask("POST", path, &body).await;
    let text = "configmaps \"a\" is forbidden: status unknown for quota: q, resources: configmaps";
    assert_eq!((code, answer["message"].as_str()), (403, Some(text)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evictions_at_once_take_no_more_than_a_budget_has() {
    let cluster = Cluster::start().await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    assert_eq!(cluster.ask("POST", budgets, &budget).await.0, 201);
    let status = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 2, "currentHealthy": 4,
        "desiredHealthy": 2, "expectedPods": 4}});
    let path = format!("{budgets}/b/status");
    assert_eq!(cluster.ask("PATCH", &path, &status).await.0, 200);
    let mut evictions = JoinSet::new();
    for pod in ["a", "b", "c", "d"] {
        let body = json!({"metadata": {"name": pod, "labels": {"app": "web"}}, "spec": {"nodeName": "n",
            "containers": [{"name": "c", "image": "x"}]}});
        assert_eq!(cluster.ask("POST", PODS, &body).await.0, 201);
        let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let path = format!("{PODS}/{pod}/status");
        assert_eq!(cluster.ask("PATCH", &path, &running).await.0, 200);
    }
    for pod in ["a", "b", "c", "d"] {
        let service = cluster.server.service();
        let body =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
        let path = format!("{PODS}/{pod}/eviction");
        evictions.spawn(async move { ask(service, "POST", &path, &body).await.0 });
    }
    let mut codes = evictions.join_all().await;
    codes.sort_unstable();
    assert_eq!(codes, [201, 201, 429, 429]);
    let (_, budget) = cluster
        .ask("GET", &format!("{budgets}/b"), &Value::Null)
        .await;
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert_eq!(
        budget["status"]["disruptedPods"].as_object().unwrap().len(),
        2
    );
}
