//! Who may do what.

use apiserver::Identity;

use crate::cluster::{CONFIG_MAPS, Cluster};

#[tokio::test]
async fn nobody_sees_health_and_version_and_nothing_else() {
    let cluster = Cluster::start().await;
    let cases = [
        ("/healthz", 200),
        ("/livez", 200),
        ("/readyz", 200),
        ("/version", 200),
        ("/api", 403),
        ("/openapi/v3", 403),
        ("/metrics", 403),
        (CONFIG_MAPS, 403),
        ("/nowhere", 403),
    ];
    for (path, want) in cases {
        let (code, answer) = cluster.ask_as(Identity::anonymous(), path).await;
        assert_eq!(code, want, "{path}: {answer}");
    }
    let node = Identity::certified("system:node:a", vec!["system:nodes".to_owned()]);
    assert_eq!(cluster.ask_as(node, CONFIG_MAPS).await.0, 200);
}

#[tokio::test]
async fn what_is_not_served_yet_is_said_in_a_sentence() {
    let cluster = Cluster::start().await;
    let nothing = serde_json::Value::Null;
    let pods = "/api/v1/namespaces/default/pods";
    let attach = "/api/v1/namespaces/default/pods/p/attach?stdout=true";
    let exec = "/api/v1/namespaces/default/pods/p/exec?command=ls&stdout=true";
    for path in [attach, exec] {
        assert_eq!(cluster.ask("POST", path, &nothing).await.0, 404);
    }
    let spec = serde_json::json!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]});
    let pod = serde_json::json!({"metadata": {"name": "p"}, "spec": spec});
    assert_eq!(cluster.ask("POST", pods, &pod).await.0, 201);
    let (code, answer) = cluster.ask("POST", attach, &nothing).await;
    assert_eq!(code, 501);
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.ends_with("does not serve pods/attach yet"),
        "{message}"
    );
    // What is served, but not in this way.
    let (code, answer) = cluster.ask("POST", exec, &nothing).await;
    assert_eq!(code, 400);
    assert_eq!(answer["message"], "Upgrade request required");
}
