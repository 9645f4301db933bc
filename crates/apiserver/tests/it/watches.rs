//! Watches: every change once and in order, selectors, the past, the end.

use std::time::Duration;

use apiserver::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::cluster::{CONFIG_MAPS, Cluster, send, version};

/// A running watch, read event by event.
struct Events {
    body: Body,
    text: String,
}

impl Events {
    async fn start(cluster: &Cluster, parameters: &str) -> Self {
        let path = format!("{CONFIG_MAPS}?watch=1&{parameters}");
        let response = send(cluster.server.service(), "GET", &path, &Value::Null).await;
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// `TYPE name`, or `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let event = self.next_value().await?;
        let kind = event["type"].as_str().unwrap();
        let name = event["object"]["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        Some(format!("{kind} {name}"))
    }

    async fn next_value(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let event = serde_json::from_str(line).unwrap();
                self.text = rest.to_owned();
                return Some(event);
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await;
            let data = frame
                .expect("an event within ten seconds")?
                .unwrap()
                .into_data()
                .unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

#[tokio::test]
async fn a_watch_from_a_list_sees_what_follows_it() {
    let cluster = Cluster::start().await;
    cluster.config_map("before", &json!({})).await;
    let (_, list) = cluster.ask("GET", CONFIG_MAPS, &Value::Null).await;
    let mut events = Events::start(&cluster, &format!("resourceVersion={}", version(&list))).await;
    let made = cluster.config_map("a", &json!({})).await;
    let path = format!("{CONFIG_MAPS}/a");
    cluster
        .ask("PATCH", &path, &json!({"data": {"k": "v"}}))
        .await;
    cluster
        .ask("PATCH", &path, &json!({"data": {"k": "v"}}))
        .await; // changes nothing
    cluster.ask("DELETE", &path, &Value::Null).await;
    assert_eq!(events.next_value().await.unwrap()["object"], made);
    assert_eq!(events.next().await.unwrap(), "MODIFIED a");
    assert_eq!(events.next().await.unwrap(), "DELETED a");
}

#[tokio::test]
async fn coming_into_a_selector_is_being_added_and_leaving_it_is_being_deleted() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", &json!({"x": "1"})).await;
    let parameters = format!("labelSelector=x%3D2&resourceVersion={}", version(&made));
    let mut events = Events::start(&cluster, &parameters).await;
    for value in ["2", "3"] {
        let patch = json!({"metadata": {"labels": {"x": value}}});
        cluster
            .ask("PATCH", &format!("{CONFIG_MAPS}/a"), &patch)
            .await;
    }
    assert_eq!(events.next().await.unwrap(), "ADDED a");
    let left = events.next_value().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(
        left["object"]["metadata"]["labels"]["x"], "2",
        "the last form that was selected"
    );
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", &json!({})).await;
    let parameters =
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = Events::start(&cluster, parameters).await;
    assert_eq!(events.next().await.unwrap(), "ADDED a");
    let end = events.next_value().await.unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(
        end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    cluster.config_map("b", &json!({})).await;
    assert_eq!(events.next().await.unwrap(), "ADDED b");
}

#[tokio::test]
async fn a_version_from_before_a_restart_is_gone() {
    let cluster = Cluster::start().await;
    let made = cluster.config_map("a", &json!({})).await;
    cluster.config_map("b", &json!({})).await;
    let cluster = cluster.restart().await;
    let mut events = Events::start(&cluster, &format!("resourceVersion={}", version(&made))).await;
    let gone = events.next_value().await.unwrap();
    assert_eq!(
        (&gone["type"], &gone["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn watches_end_when_their_time_is_over_and_when_the_server_stops() {
    let cluster = Cluster::start().await;
    let mut short = Events::start(&cluster, "timeoutSeconds=1").await;
    assert_eq!(short.next().await, None);
    let mut long = Events::start(&cluster, "").await;
    assert!(
        cluster.server.shutdown().await,
        "nothing holds the server up"
    );
    assert_eq!(long.next().await, None);
}
