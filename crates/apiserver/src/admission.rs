//! What may be created where: the namespace must exist and stay (`admission/plugin/namespace/lifecycle`); and what
//! upstream's admission adds to pods and nodes.

use api::resource::Part;
use api::resources;
use api::status::Status;
use serde_json::{Value, json};

use crate::pod_admission;
use crate::priority;
use crate::write::Write;

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Checks the place of a new object.
pub(crate) fn create(write: &Write<'_>, object: &mut Value) -> Result<(), Status> {
    if write.target.resource.kind == "Node" {
        not_ready_yet(object);
    }
    if !write.target.resource.namespaced || write.part != Part::Main && write.target.name.is_empty()
    {
        return Ok(());
    }
    let namespace = &write.target.namespace;
    let Some(found) = write.api.namespace(namespace) else {
        return Err(Status::not_found("", "namespaces", namespace));
    };
    if found["status"]["phase"] != "Terminating" && found["metadata"]["deletionTimestamp"].is_null()
    {
        let resource = write.target.resource;
        if resource.plural == "pods" && resource.group.is_empty() {
            pod_admission::admit(object, &priority::classes(write.api))?;
        }
        return crate::service_account::admit(write, object);
    }
    Err(terminating(write, object, namespace))
}

/// Checks an object that is valid, against the stored one unless it is new.
pub(crate) fn check(write: &Write<'_>, object: &Value, old: Option<&Value>) -> Result<(), Status> {
    let resource = write.target.resource;
    match (resource.group, resource.plural) {
        ("", "pods") if old.is_none() => pod_admission::check(object),
        ("scheduling.k8s.io", "priorityclasses") => {
            priority::check_class(object, old, &priority::classes(write.api))
        }
        _ => Ok(()),
    }
}

/// Puts the stored values back into what an update left out.
pub(crate) fn update(write: &Write<'_>, object: &mut Value, old: &Value) {
    let resource = write.target.resource;
    if resource.plural == "pods" && resource.group.is_empty() && write.part == Part::Main {
        pod_admission::admit_update(object, old);
    }
}

/// A new node takes no pods before it is known to be ready (`plugin/pkg/admission/nodetaint`).
fn not_ready_yet(node: &mut Value) {
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let has_it = |one: &Value| one["key"] == taint["key"] && one["effect"] == taint["effect"];
    match &mut node["spec"]["taints"] {
        Value::Array(taints) if taints.iter().any(has_it) => {}
        Value::Array(taints) => taints.push(taint),
        none => *none = json!([taint]),
    }
}

fn terminating(write: &Write<'_>, object: &Value, namespace: &str) -> Status {
    let resource = write.target.resource;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut status = Status::forbidden(resource.group, resource.plural, name, &why);
    if let Some(details) = &mut status.details {
        details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
    }
    status
}

/// Checks a deletion.
pub(crate) fn delete(resource: &api::resource::Resource, name: &str) -> Result<(), Status> {
    let is_namespace =
        resources::find("", "namespaces").is_some_and(|ns| std::ptr::eq(ns, resource));
    if is_namespace && IMMORTAL.contains(&name) {
        let why = "this namespace may not be deleted";
        return Err(Status::forbidden("", "namespaces", name, why));
    }
    if resource.group == "scheduling.k8s.io" {
        return priority::check_deletion(name);
    }
    Ok(())
}
