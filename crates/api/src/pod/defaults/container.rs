//! What a container means where it says nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::milli;
use crate::pod::image;
use crate::schema::quantity::Quantity;
use crate::validation::json::{default, list, list_mut, text};

/// Fills in what was left out.
pub(super) fn set_defaults(container: &mut Value) {
    let pull = image::pull_policy(text(container, "/image"));
    default(container, "imagePullPolicy", pull);
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    default(
        container,
        "resources",
        Value::Object(serde_json::Map::new()),
    );
    for port in list_mut(container, "/ports") {
        default(port, "protocol", "TCP");
    }
    for variable in list_mut(container, "/env") {
        from(variable);
    }
    for path in ["/resources/limits", "/resources/requests"] {
        milli(container.pointer_mut(path));
    }
    for path in ["/livenessProbe", "/readinessProbe", "/startupProbe"] {
        if let Some(found) = container.pointer_mut(path) {
            probe(found);
        }
    }
    for path in ["/lifecycle/postStart", "/lifecycle/preStop"] {
        if let Some(found) = container.pointer_mut(path) {
            http_get(found);
        }
    }
}

fn from(variable: &mut Value) {
    if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
        default(field, "apiVersion", "v1");
    }
    if let Some(file) = variable.pointer_mut("/valueFrom/fileKeyRef") {
        default(file, "optional", false);
    }
}

fn probe(probe: &mut Value) {
    for (member, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        default(probe, member, value);
    }
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc") {
        default(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(action) = handler.get_mut("httpGet") {
        default(action, "path", "/");
        default(action, "scheme", "HTTP");
    }
}

/// What a pod's containers request together, by resource.
pub(crate) fn requests(spec: &Value) -> BTreeMap<String, String> {
    let texts = aggregate(spec, "requests").into_iter();
    texts.map(|(name, sum)| (name, sum.canonical())).collect()
}

/// What a pod's containers request or are limited to together (`AggregateContainerRequests`): those that run at
/// the same time are summed, an init container counts only while it runs.
pub(crate) fn aggregate(spec: &Value, member: &str) -> BTreeMap<String, Quantity> {
    let mut running: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut most: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut sidecars: BTreeMap<String, Quantity> = BTreeMap::new();
    for container in list(spec, "/containers") {
        add(&mut running, &of(container, member));
    }
    for container in list(spec, "/initContainers") {
        let own = of(container, member);
        let mut now = sidecars.clone();
        add(&mut now, &own);
        if container["restartPolicy"] == "Always" {
            add(&mut running, &own);
            sidecars = now.clone();
        }
        at_least(&mut most, &now);
    }
    at_least(&mut running, &most);
    running
}

fn of(container: &Value, member: &str) -> BTreeMap<String, Quantity> {
    let amounts = container["resources"][member].as_object();
    let parsed = amounts.into_iter().flatten().filter_map(|(name, value)| {
        let quantity = Quantity::parse(value.as_str()?).ok()?;
        Some((name.clone(), quantity))
    });
    parsed.collect()
}

fn add(sums: &mut BTreeMap<String, Quantity>, more: &BTreeMap<String, Quantity>) {
    for (name, value) in more {
        let sum = sums.get(name).map_or(*value, |sum| sum.plus(value));
        sums.insert(name.clone(), sum);
    }
}

fn at_least(sums: &mut BTreeMap<String, Quantity>, least: &BTreeMap<String, Quantity>) {
    for (name, value) in least {
        let entry = sums.entry(name.clone()).or_insert(*value);
        if value.nano() > entry.nano() {
            *entry = *value;
        }
    }
}
