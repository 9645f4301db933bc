//! What others may ask a proxy: its health, a Service's health on this node, its metrics
//! (service-semantics 4.7 and 4.8).

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};
use testkit::lab::Lab;

use crate::place::{Place, until};

/// Status and JSON body.
fn ask(place: &Place, port: u16, path: &str) -> Option<(u16, Value)> {
    let to = SocketAddr::new(Lab::node_addresses(1)[0], port);
    let (status, text) = place.lab.dialler("client").get(to, path).ok()?;
    let (_, body) = text.split_once("\r\n\r\n")?;
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}

#[test]
fn health_follows_the_node_and_liveness_does_not() {
    let place = Place::new(1);
    until("it is healthy", || {
        ask(&place, 10256, "/healthz").is_some_and(|(status, _)| status == 200)
    });
    let (_, body) = ask(&place, 10256, "/healthz").unwrap();
    assert_eq!(
        (&body["healthy"], &body["nodeEligible"]),
        (&json!(true), &json!(true)),
        "{body}"
    );
    for field in ["lastUpdated", "currentTime", "status"] {
        assert!(!body[field].is_null(), "{field} in {body}");
    }
    let (status, body) = ask(&place, 10256, "/livez").unwrap();
    assert_eq!((status, body.get("nodeEligible")), (200, None), "{body}");

    let taint = json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]);
    place
        .api
        .change("Node", "node-1", |node| node["spec"]["taints"] = taint);
    until("it asks for no more traffic", || {
        ask(&place, 10256, "/healthz").unwrap().0 == 503
    });
    let (_, body) = ask(&place, 10256, "/healthz").unwrap();
    assert_eq!(
        (&body["healthy"], &body["nodeEligible"]),
        (&json!(false), &json!(false)),
        "{body}"
    );
    assert_eq!(ask(&place, 10256, "/livez").unwrap().0, 200);

    place
        .api
        .change("Node", "node-1", |node| node["spec"] = json!({}));
    until("it takes traffic again", || {
        ask(&place, 10256, "/healthz").unwrap().0 == 200
    });
    place.api.delete("Node", "node-1");
    until("a deleted node takes none", || {
        ask(&place, 10256, "/healthz").unwrap().0 == 503
    });
    assert_eq!(ask(&place, 10256, "/livez").unwrap().0, 200);
}

#[test]
fn the_health_check_node_port_counts_ready_local_endpoints() {
    let mut place = Place::new(2);
    let local = [place.lab.start_pod(1, 5), place.lab.start_pod(1, 6)];
    let remote = place.lab.start_pod(2, 5);
    let spec = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 32080});
    place.serve(&[&local[0], &local[1], &remote], &spec);
    let counts = |wanted: u64, status: u16| {
        let answer = ask(&place, 32080, "/any/path/does");
        answer
            .is_some_and(|(code, body)| (code, &body["localEndpoints"]) == (status, &json!(wanted)))
    };
    // Over two ports: addresses are counted, each once, and each family has its own.
    until("both addresses are counted", || counts(2, 200));
    let to = SocketAddr::new(Lab::node_addresses(1)[1], 32080);
    let (status, text) = place.lab.dialler("client").get(to, "/").unwrap();
    assert_eq!(status, 200);
    let text = text.to_ascii_lowercase();
    for header in [
        "content-type: application/json",
        "x-content-type-options: nosniff",
        "x-load-balancing-endpoint-weight: 2",
    ] {
        assert!(text.contains(header), "{header} in {text}");
    }
    let terminating = json!({"ready": false, "serving": true, "terminating": true});
    place.set_conditions(&local[0], &terminating);
    until("what terminates is not counted", || counts(1, 200));
    place.set_conditions(&local[1], &terminating);
    until("nor is it reason enough to send traffic", || counts(0, 503));
    let to = SocketAddr::new(Lab::node_addresses(1)[0], 30080);
    let said = place.lab.dialler("client").ask_tcp(to).unwrap();
    assert_eq!(said.node, "node-1", "though it still answers");
    assert_eq!(said.client.ip(), Lab::client_addresses()[0]);
    // With publishNotReadyAddresses it stays ready.
    place.set_conditions(
        &local[0],
        &json!({"ready": true, "serving": true, "terminating": true}),
    );
    until("what is published counts", || counts(1, 200));
    place.serve(&[&local[0]], &json!({}));
    until("without the policy the port is closed", || {
        ask(&place, 32080, "/").is_none()
    });
}

#[test]
fn metrics_have_kube_proxys_names() {
    let mut place = Place::new(1);
    let pod = place.lab.start_pod(1, 5);
    place.serve(&[&pod], &json!({"internalTrafficPolicy": "Local"}));
    let node = place.lab.dialler("node-1");
    let to: SocketAddr = "127.0.0.1:10249".parse().unwrap();
    let text = || node.get(to, "/metrics").unwrap().1;
    until("the Service has been heard of", || {
        text().contains("kubeproxy_sync_proxy_rules_service_changes_total 1\n")
    });
    until("it is healthy", || {
        ask(&place, 10256, "/healthz").is_some_and(|(status, _)| status == 200)
    });
    until("connections have been looked through", || {
        text().contains("kubeproxy_conntrack_reconciler_sync_duration_seconds_count{")
    });
    let text = text();
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    let declared = "\n# TYPE kubeproxy_sync_proxy_rules_service_changes_total counter\n";
    assert!(text.contains(declared), "{text}");
    for name in [
        "sync_proxy_rules_duration_seconds_bucket{le=\"0.001\",ip_family=\"IPv4\"}",
        "sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"}",
        "sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}",
        "sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"}",
        "sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv6\"}",
        "sync_proxy_rules_endpoint_changes_pending",
        "sync_proxy_rules_endpoint_changes_total",
        "sync_proxy_rules_service_changes_pending",
        "sync_proxy_rules_service_changes_total",
        "proxy_healthz_total{code=\"200\"}",
        "sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"internal\"} 0\n",
        "sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv6\",traffic_policy=\"external\"} 0\n",
        "conntrack_reconciler_sync_duration_seconds_count{ip_family=\"IPv4\"}",
        "conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"}",
    ] {
        assert!(
            text.contains(&format!("\nkubeproxy_{name}")),
            "{name} is not in\n{text}"
        );
    }
    let mode = node.get(to, "/proxyMode").unwrap().1;
    assert!(mode.ends_with("\r\n\r\nnftables"), "{mode}");
    let configz = node.get(to, "/configz").unwrap().1;
    for part in [
        "KubeProxyConfiguration",
        "\"nodePortAddresses\":[\"primary\"]",
        "\"clusterCIDR\":\"10.244.0.0/16,fd00:10::/48\"",
    ] {
        assert!(configz.contains(part), "{part} in {configz}");
    }
    let nothing = node.get(to, "/nothing").unwrap();
    assert!(nothing.0 == 404 && nothing.1.ends_with("\r\n\r\n404 page not found\n"));
    // A Service whose only endpoint is elsewhere counts as one without local endpoints.
    let elsewhere = testkit::lab::Pod {
        node: "node-7".to_owned(),
        ..pod
    };
    place.set_pods(&[&elsewhere]);
    // Two ports, in two families.
    let gauge = |family| {
        format!(
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total{{ip_family=\"{family}\",traffic_policy=\"internal\"}} 2\n"
        )
    };
    until("its endpoints are all elsewhere", || {
        let text = node.get(to, "/metrics").unwrap().1;
        ["IPv4", "IPv6"]
            .iter()
            .all(|family| text.contains(&gauge(family)))
    });
}

#[test]
fn a_health_check_node_port_that_is_taken_is_told_once_and_served_when_it_is_free() {
    let mut place = Place::new(1);
    let pod = place.lab.start_pod(1, 5);
    let to = SocketAddr::new(Lab::node_addresses(1)[0], 32080);
    let node = place.lab.namespace("node-1").clone();
    let taken = node.run(|| TcpListener::bind(to)).unwrap().unwrap();
    let spec = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 32080});
    place.serve(&[&pod], &spec);
    let told = || {
        let events = place.api.all("Event");
        let of = |event: &Value| event["reason"] == "FailedToStartServiceHealthcheck";
        events.into_iter().filter(of).collect::<Vec<_>>()
    };
    until("it is told", || !told().is_empty());
    let event = &told()[0];
    assert_eq!(
        (&event["type"], &event["action"], &event["regarding"]),
        (
            &json!("Warning"),
            &json!("Listen"),
            &json!({"apiVersion": "v1", "kind": "Service", "namespace": "default", "name": "web"})
        )
    );
    let note = event["note"].as_str().unwrap();
    assert!(
        note.starts_with("node node-1 failed to start healthcheck \"default/web\" on port 32080: "),
        "{note}"
    );
    // The other family's is served, and so is everything else.
    let other = SocketAddr::new(Lab::node_addresses(1)[1], 32080);
    let client = place.lab.dialler("client");
    until("the other address is served", || {
        client
            .get(other, "/")
            .is_ok_and(|(status, _)| status == 200)
    });
    // Each change tries again.
    place.set_pods(&[]);
    place.set_pods(&[&pod]);
    drop(taken);
    until("it is served", || {
        place.set_pods(&[&pod]);
        ask(&place, 32080, "/").is_some_and(|(status, _)| status == 200)
    });
    assert_eq!(told().len(), 1, "{:?}", told());
    let started = place.api.all("Event");
    let started: Vec<_> = started
        .iter()
        .filter(|e| e["reason"] == "Starting")
        .collect();
    assert_eq!(started.len(), 1);
    assert_eq!(
        started[0]["regarding"],
        json!({"apiVersion": "v1", "kind": "Node", "name": "node-1"})
    );
}
