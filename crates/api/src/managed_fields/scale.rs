//! Managed fields of a Scale: those of `spec.replicas` of the object that it shows
//! (`apimachinery/pkg/util/managedfields/scalehandler.go`).

use serde_json::{Value, json};

/// The version of Scale.
const SCALE: &str = "autoscaling/v1";

/// The entries as a Scale has them: whoever manages the replicas of an object of this version.
pub fn of_scale(parent: &[Value], api_version: &str) -> Vec<Value> {
    let ours = parent
        .iter()
        .filter(|entry| entry["apiVersion"] == api_version && has_replicas(entry));
    ours.map(|entry| Value::from_iter(shared(entry, SCALE, &entry["subresource"])))
        .collect()
}

/// The object's entries after a write of its Scale: who lost the replicas loses them here, too.
pub fn of_parent(parent: &[Value], scale: &[Value], api_version: &str) -> Vec<Value> {
    let mut rest: Vec<&Value> = scale.iter().filter(|entry| has_replicas(entry)).collect();
    let mut entries = Vec::new();
    for entry in parent {
        if !has_replicas(entry) {
            entries.push(entry.clone());
        } else if let Some(kept) = rest.iter().position(|other| key(other) == key(entry)) {
            rest.remove(kept);
            entries.push(entry.clone());
        } else {
            entries.extend(without_replicas(entry));
        }
    }
    let taken = rest.into_iter();
    entries.extend(
        taken.map(|entry| Value::from_iter(shared(entry, api_version, &entry["subresource"]))),
    );
    entries.sort_by_cached_key(|entry| {
        ["operation", "time", "manager", "apiVersion", "subresource"]
            .map(|member| entry[member].as_str().unwrap_or_default().to_owned())
    });
    entries
}

fn has_replicas(entry: &Value) -> bool {
    !entry["fieldsV1"]["f:spec"]["f:replicas"].is_null()
}

/// Who an entry belongs to. Appliers are the same in every version.
fn key(entry: &Value) -> [&str; 4] {
    let text = |member: &str| entry[member].as_str().unwrap_or_default();
    let version = match text("operation") {
        "Apply" => "",
        _ => text("apiVersion"),
    };
    [
        text("operation"),
        text("manager"),
        version,
        text("subresource"),
    ]
}

/// An entry for the replicas alone, without a time.
fn shared(entry: &Value, api_version: &str, subresource: &Value) -> Vec<(String, Value)> {
    let members = [
        ("manager", entry["manager"].clone()),
        ("operation", entry["operation"].clone()),
        ("apiVersion", api_version.into()),
        ("fieldsType", "FieldsV1".into()),
        ("fieldsV1", json!({"f:spec": {"f:replicas": {}}})),
        ("subresource", subresource.clone()),
    ];
    let set = members.into_iter().filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn without_replicas(entry: &Value) -> Option<Value> {
    let mut entry = entry.clone();
    let fields = entry["fieldsV1"].as_object_mut()?;
    let spec = fields.get_mut("f:spec")?.as_object_mut()?;
    spec.remove("f:replicas");
    if spec.is_empty() {
        fields.remove("f:spec");
    }
    (!fields.is_empty()).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, version: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Update", "apiVersion": version, "time": "t", "fieldsV1": fields})
    }

    #[test]
    fn the_replicas_go_to_who_wrote_them() {
        let parent = [entry(
            "a",
            "apps/v1",
            &json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}),
        )];
        let shown = of_scale(&parent, "apps/v1");
        assert_eq!(shown[0]["apiVersion"], "autoscaling/v1");
        let written = [
            json!({"manager": "b", "operation": "Update", "apiVersion": "autoscaling/v1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}}, "subresource": "scale"}),
        ];
        let after = of_parent(&parent, &written, "apps/v1");
        let managers: Vec<&Value> = after.iter().map(|entry| &entry["manager"]).collect();
        assert_eq!(managers, ["b", "a"]);
        assert_eq!(after[0]["apiVersion"], "apps/v1");
        assert_eq!(after[1]["fieldsV1"], json!({"f:spec": {"f:paused": {}}}));
    }
}
