//! Rows of Deployments, ReplicaSets and PodTemplates.

use jiff::Timestamp;
use serde_json::Value;

use super::{NAME, column, list, number, or_none, text, wide};
use crate::age;
use crate::resource::Column;

/// Columns of a Deployment.
pub const DEPLOYMENT: &[Column] = &[
    NAME,
    column("Ready", "string"),
    column("Up-to-date", "string"),
    column("Available", "string"),
    column("Age", "string"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// Columns of a ReplicaSet.
pub const REPLICA_SET: &[Column] = &[
    NAME,
    column("Desired", "integer"),
    column("Current", "integer"),
    column("Ready", "integer"),
    column("Age", "string"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// Columns of a PodTemplate.
pub const POD_TEMPLATE: &[Column] = &[
    NAME,
    column("Containers", "string"),
    column("Images", "string"),
    column("Pod Labels", "string"),
];

/// Cells of a Deployment.
pub fn deployment_cells(deployment: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let ready = format!(
        "{}/{}",
        number(&status["readyReplicas"]),
        number(&spec["replicas"])
    );
    let mut cells = vec![
        deployment["metadata"]["name"].clone(),
        ready.into(),
        number(&status["updatedReplicas"]).into(),
        number(&status["availableReplicas"]).into(),
        age::of(deployment, now),
    ];
    cells.extend(template_cells(spec));
    cells.push(selector(&spec["selector"]).into());
    cells
}

/// Cells of a ReplicaSet.
pub fn replica_set_cells(replica_set: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&replica_set["spec"], &replica_set["status"]);
    let mut cells = vec![
        replica_set["metadata"]["name"].clone(),
        number(&spec["replicas"]).into(),
        number(&status["replicas"]).into(),
        number(&status["readyReplicas"]).into(),
        age::of(replica_set, now),
    ];
    cells.extend(template_cells(spec));
    let selector = selector(&spec["selector"]);
    cells.push(if selector.is_empty() {
        "<none>".into()
    } else {
        selector.into()
    });
    cells
}

/// Cells of a PodTemplate.
pub fn pod_template_cells(object: &Value) -> Vec<Value> {
    let mut cells = vec![object["metadata"]["name"].clone()];
    cells.extend(template_cells(object));
    let labels = object["template"]["metadata"]["labels"].as_object();
    let mut shown: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    shown.sort();
    cells.push(or_none(&shown.join(",")));
    cells
}

/// CONTAINERS and IMAGES of a pod template.
fn template_cells(spec: &Value) -> [Value; 2] {
    let containers = list(&spec["template"]["spec"]["containers"]);
    ["name", "image"].map(|field| {
        containers
            .iter()
            .map(|c| text(&c[field]))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    })
}

/// A label selector as text: requirements sorted by key (`apimachinery/pkg/labels`).
pub fn selector(selector: &Value) -> String {
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", text(value))));
    }
    for expression in list(&selector["matchExpressions"]) {
        let key = text(&expression["key"]);
        let mut values: Vec<&str> = list(&expression["values"]).iter().map(text).collect();
        values.sort_unstable();
        let values = values.join(",");
        let shown = match text(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), shown));
    }
    parts.sort();
    parts
        .into_iter()
        .map(|(_, shown)| shown)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_of_workloads() {
        let object = json!({
            "metadata": {"name": "web"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}},
            "status": {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 2},
        });
        let now = Timestamp::UNIX_EPOCH;
        let wanted = [
            json!("web"),
            json!("1/3"),
            json!(2),
            json!(0),
            json!("<unknown>"),
            json!("a,b"),
            json!("x,y"),
            json!("app=web"),
        ];
        assert_eq!(deployment_cells(&object, now), wanted);
        let wanted = [
            json!("web"),
            json!(3),
            json!(2),
            json!(1),
            json!("<unknown>"),
            json!("a,b"),
            json!("x,y"),
            json!("app=web"),
        ];
        assert_eq!(replica_set_cells(&object, now), wanted);
    }

    #[test]
    fn selectors_are_sorted_by_key() {
        let value = json!({"matchLabels": {"b": "2"}, "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "DoesNotExist"}]});
        assert_eq!(selector(&value), "a in (x,y),b=2,!c");
    }
}
