//! Pods run as a ServiceAccount of their namespace (`plugin/pkg/admission/serviceaccount`).

use api::resource::Part;
use api::status::Status;
use serde_json::Value;

use crate::write::Write;

/// Fills in the account, and refuses a pod whose account does not exist.
pub(crate) fn admit(write: &Write<'_>, object: &mut Value) -> Result<(), Status> {
    let is_pod = write.target.resource.kind == "Pod" && write.target.resource.group.is_empty();
    if !is_pod || write.part != Part::Main || !write.api.config.service_account_admission {
        return Ok(());
    }
    let name = match object["spec"]["serviceAccountName"].as_str() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "default".to_owned(),
    };
    let accounts = write.api.registry.kind("", "serviceaccounts");
    if accounts.get(&write.target.namespace, &name).is_none() {
        let pod = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = &write.target.namespace;
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(Status::forbidden("", "pods", pod, &why));
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.insert("serviceAccountName".to_owned(), name.clone().into());
        spec.insert("serviceAccount".to_owned(), name.into());
    }
    Ok(())
}
