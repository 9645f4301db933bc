//! What tests and measurements run: the echo program behind a Service of type LoadBalancer.

use std::net::IpAddr;

use crate::Product;

/// The Deployment and its Service; another `version` is another pod template, and `service` is what the
/// Service's spec has besides, as lines of YAML.
#[must_use]
pub fn web(replicas: usize, version: &str, service: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: echo
        image: fairway/echo
        env:
        - {{name: VERSION, value: \"{version}\"}}
        - {{name: GRACE_SECONDS, value: \"5\"}}
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
{service}"
    )
}

/// Waits until the Deployment has what it wants, and every other pod has gone.
pub fn settled(product: &Product<'_>, replicas: usize) {
    product.until("the rollout is complete", || {
        let said = product.says(&["get", "deployment", "web", "-o", "json"]);
        let object: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
        let status = &object["status"];
        let counts = [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ];
        counts.iter().all(|count| status[count] == replicas)
            && status["observedGeneration"] == object["metadata"]["generation"]
    });
    product.until("the pods of before are gone", || {
        let said = product.says(&["get", "pods", "-l", "app=web", "-o", "json"]);
        let list: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
        list["items"]
            .as_array()
            .is_some_and(|items| items.len() == replicas)
    });
}

/// The load balancer's address of the Service, which is waited for.
#[must_use]
pub fn address(product: &Product<'_>) -> IpAddr {
    let mut address = None;
    product.until("the Service has an address", || {
        let text = product.field("service", "web", "/status/loadBalancer/ingress/0/ip");
        address = text.parse().ok();
        address.is_some()
    });
    address.expect("it was waited for")
}
