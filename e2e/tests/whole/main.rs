//! The whole product as its user meets it: `fairway up`, real pods, real packets, `fairway down`. Each test
//! has a host of its own, so they run side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod families;
mod kubectl;
mod life;
mod traffic;

/// A Deployment of the echo program behind a Service of type LoadBalancer.
fn web(replicas: u32, version: &str, service: &str) -> String {
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
