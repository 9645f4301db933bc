//! POST of a Binding: the scheduler puts a pod on a node (`registry/core/pod/storage`).

use api::field::{Path, Problem, Problems};
use api::resource::Part;
use api::schema::Kind;
use api::status::Status;
use serde_json::{Value, json};

use crate::api_state::{Api, not_found, now};
use crate::call::Call;
use crate::decode;
use crate::options::WriteOptions;
use crate::reply::Reply;
use crate::reserve::Reservation;
use crate::routes::Target;
use crate::verbs::create::place;
use crate::write::{ROUNDS, Round, Write};

const BINDING: Kind<'static> = Kind {
    group: "",
    version: "v1",
    kind: "Binding",
    definition: "io.k8s.api.core.v1.Binding",
};

pub(crate) async fn create(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let options = WriteOptions::read(call, "CreateOptions", Problems::new())?;
    let mut binding = decode::kind(call, &BINDING, options.validation)?;
    place(target, &mut binding)?;
    let said = binding["metadata"]["name"].as_str().unwrap_or_default();
    let name = if target.name.is_empty() {
        said
    } else {
        &target.name
    };
    if said != name {
        let text = "name in URL does not match name in Binding object";
        return Err(Status::bad_request(text));
    }
    check(&binding)?;
    let pod = Target {
        resource: target.resource,
        namespace: target.namespace.clone(),
        name: name.to_owned(),
        subresource: "binding".to_owned(),
    };
    let (dry_run, manager) = (options.dry_run, options.manager.as_str());
    let part = Part::Sub("binding");
    let write = Write {
        api,
        call,
        target: &pod,
        part,
        dry_run,
        manager,
    };
    bind(&write, &binding).await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Reply::value(201, &status))
}

/// Stores the pod with its node, past the pod's own rules for updates, as upstream does.
async fn bind(write: &Write<'_>, binding: &Value) -> Result<(), Status> {
    let pod = write.target;
    for _ in 0..ROUNDS {
        let old = write.api.current(pod, &pod.name).await?;
        let old = old.ok_or_else(|| not_found(pod.resource, &pod.name))?;
        refuse(pod, &old.object, binding)?;
        let bound = bound(old.object, binding);
        let round = write
            .commit_put(Some(&old.stored), &pod.name, &bound, Reservation::default())
            .await?;
        if let Round::Done(_) = round {
            return Ok(());
        }
    }
    Err(write.modified(&pod.name))
}

fn check(binding: &Value) -> Result<(), Status> {
    let target = &binding["target"];
    let kind = target["kind"].as_str().unwrap_or_default();
    let mut problems = Problems::new();
    if !matches!(kind, "" | "Node") {
        let field = Path::new("target.kind");
        problems.push(Problem::not_supported(field, kind, &["Node", "<empty>"]));
    }
    if target["name"].as_str().unwrap_or_default().is_empty() {
        problems.push(Problem::required(Path::new("target.name"), ""));
    }
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [one] => Err(Status::untyped(one)),
        many => Err(Status::untyped(format!("[{}]", many.join(", ")))),
    }
}

fn bound(mut pod: Value, binding: &Value) -> Value {
    pod["spec"]["nodeName"] = binding["target"]["name"].clone();
    for field in ["annotations", "labels"] {
        for (key, value) in binding["metadata"][field].as_object().into_iter().flatten() {
            pod["metadata"][field][key] = value.clone();
        }
    }
    set_scheduled(&mut pod);
    pod
}

fn refuse(target: &Target, pod: &Value, binding: &Value) -> Result<(), Status> {
    let name = &target.name;
    let conflict = |why: String| Err(Status::conflict("", "pods/binding", name, &why));
    let (wanted, uid) = (&binding["metadata"]["uid"], &pod["metadata"]["uid"]);
    if wanted.as_str().is_some_and(|wanted| !wanted.is_empty()) && wanted != uid {
        return conflict(format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            wanted.as_str().unwrap_or_default(),
            uid.as_str().unwrap_or_default()
        ));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return conflict(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    if pod["spec"]["schedulingGates"]
        .as_array()
        .is_some_and(|gates| !gates.is_empty())
    {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    match pod["spec"]["nodeName"]
        .as_str()
        .filter(|node| !node.is_empty())
    {
        Some(node) => conflict(format!("pod {name} is already assigned to node \"{node}\"")),
        None => Ok(()),
    }
}

fn set_scheduled(pod: &mut Value) {
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now(),
    });
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    let conditions = pod["status"]["conditions"]
        .as_array_mut()
        .expect("it was just made a list");
    match conditions
        .iter_mut()
        .find(|one| one["type"] == "PodScheduled")
    {
        Some(one) => *one = condition,
        None => conditions.push(condition),
    }
}
