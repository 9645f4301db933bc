//! Lists in pages and at versions.

use serde_json::{Value, json};

use crate::cluster::{CONFIG_MAPS, Cluster, names, version};

#[tokio::test]
async fn pages_show_one_moment_though_objects_come_and_go() {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c", "d"] {
        cluster.config_map(name, &json!({})).await;
    }
    let (_, first) = cluster
        .ask("GET", &format!("{CONFIG_MAPS}?limit=2"), &Value::Null)
        .await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    cluster
        .ask("DELETE", &format!("{CONFIG_MAPS}/c"), &Value::Null)
        .await;
    cluster.config_map("bb", &json!({})).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{CONFIG_MAPS}?limit=2&continue={token}");
    let (_, second) = cluster.ask("GET", &next, &Value::Null).await;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(version(&second), version(&first));
    assert!(second["metadata"]["continue"].is_null());
    let (_, now) = cluster.ask("GET", CONFIG_MAPS, &Value::Null).await;
    assert_eq!(names(&now), ["a", "b", "bb", "d"]);
}

#[tokio::test]
async fn a_list_is_as_new_as_the_last_write_of_any_kind() {
    let cluster = Cluster::start().await;
    let secret = json!({"metadata": {"name": "s"}});
    let path = "/api/v1/namespaces/default/secrets";
    let (_, made) = cluster.ask("POST", path, &secret).await;
    let (_, list) = cluster.ask("GET", CONFIG_MAPS, &Value::Null).await;
    let number = |object: &Value| version(object).parse::<u64>().unwrap();
    assert!(number(&list) >= number(&made), "{list}");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("kept", &json!({"a": "b"})).await;
    let cluster = cluster.restart().await;
    let (code, found) = cluster
        .ask("GET", &format!("{CONFIG_MAPS}/kept"), &Value::Null)
        .await;
    assert_eq!((code, &found), (200, &made));
    let (_, service) = cluster
        .ask(
            "GET",
            "/api/v1/namespaces/default/services/kubernetes",
            &Value::Null,
        )
        .await;
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
}
