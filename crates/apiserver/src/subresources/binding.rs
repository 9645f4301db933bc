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
use crate::routes::Target;
use crate::verbs::create::place;
use crate::write::{Old, Wanted, Write};

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
    let said = binding["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let name = if target.name.is_empty() {
        said.clone()
    } else {
        target.name.clone()
    };
    if !said.is_empty() && said != name {
        let text =
            format!("the name of the object ({said}) does not match the name on the URL ({name})");
        return Err(Status::bad_request(text));
    }
    check(&name, &binding)?;
    let pod = Target {
        resource: target.resource,
        namespace: target.namespace.clone(),
        name,
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
    write
        .run(&pod.name, |old| wanted(&pod, old, &binding))
        .await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Reply::value(201, &status))
}

fn check(name: &str, binding: &Value) -> Result<(), Status> {
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
    let Some(first) = problems.first() else {
        return Ok(());
    };
    let _ = name;
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(Status::untyped(if texts.len() == 1 {
        first.to_string()
    } else {
        format!("[{}]", texts.join(", "))
    }))
}

fn wanted(target: &Target, old: Option<&Old>, binding: &Value) -> Result<Wanted, Status> {
    let old = old.ok_or_else(|| not_found(target.resource, &target.name))?;
    let mut pod = old.object.clone();
    let node = binding["target"]["name"].as_str().unwrap_or_default();
    refuse(target, &pod, binding)?;
    pod["spec"]["nodeName"] = node.into();
    if let Some(annotations) = binding["metadata"]["annotations"].as_object() {
        for (key, value) in annotations {
            pod["metadata"]["annotations"][key] = value.clone();
        }
    }
    set_scheduled(&mut pod);
    Ok(Wanted {
        object: pod,
        managed: false,
    })
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
