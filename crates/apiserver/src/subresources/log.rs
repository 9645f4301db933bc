//! GET of a pod's `log`: fetched from the agent of the pod's node.

use api::field::{Path, Problem, Problems};
use api::status::Status;
use serde_json::Value;

use crate::api_state::Api;
use crate::call::Call;
use crate::kubelet::Kubelet;
use crate::reply::Reply;
use crate::routes::Target;

/// What the agent is asked besides the path (`PodLogOptions`).
const PARAMETERS: [&str; 9] = [
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "insecureSkipTLSVerifyBackend",
    "stream",
];

pub(crate) async fn get(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    check(call, &target.name)?;
    let pod = api.existing(target).await?.object;
    let container = container(&pod, call.query.text("container"), &target.name)?;
    let Some(node) = pod["spec"]["nodeName"]
        .as_str()
        .filter(|node| !node.is_empty())
    else {
        return Ok(Reply::full(204, "", ""));
    };
    if let Some(why) = waits_for_image(&pod, &container) {
        let name = &target.name;
        let text =
            format!("container \"{container}\" in pod \"{name}\" is waiting to start: {why}");
        return Err(Status::bad_request(text));
    }
    let (kubelet, node) = agent(api, node)
        .map_err(|why| Status::untyped(format!("Get the log of {}: {why}", target.name)))?;
    let path = format!(
        "/containerLogs/{}/{}/{container}{}",
        target.namespace,
        target.name,
        parameters(call)
    );
    kubelet.get(&node, &path).await
}

/// Why a container that has never run has no log: the most common reason by far, in kubelet's words
/// (`validateContainerLogStatus`).
fn waits_for_image(pod: &Value, container: &str) -> Option<&'static str> {
    let statuses = ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|field| pod["status"][field].as_array().into_iter().flatten());
    let mut own = statuses.filter(|status| status["name"] == container);
    let status = own.next()?;
    if status["lastState"]["terminated"].is_object() {
        return None;
    }
    match status["state"]["waiting"]["reason"].as_str()? {
        "ErrImagePull" => Some("image can't be pulled"),
        "ImagePullBackOff" => Some("trying and failing to pull image"),
        _ => None,
    }
}

/// The agent of a node; the error says that there is none.
pub(super) fn agent<'a>(api: &'a Api, node: &str) -> Result<(&'a Kubelet, Value), String> {
    let found = api.registry.kind("", "nodes").get("", node);
    let agent = api.kubelet.as_ref().zip(found.map(|node| node.value()));
    agent.ok_or_else(|| format!("node \"{node}\" is not there"))
}

/// What is wrong with the numbers (`ValidatePodLogOptions`).
fn check(call: &Call, pod: &str) -> Result<(), Status> {
    let number = |name: &str| {
        call.query
            .get(name)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let mut problems = Problems::new();
    if let Some(lines @ ..0) = number("tailLines") {
        let words = "must be greater than or equal to 0";
        problems.push(Problem::invalid(Path::new("tailLines"), lines, words));
    }
    if let Some(bytes @ ..1) = number("limitBytes") {
        let words = "must be greater than 0";
        problems.push(Problem::invalid(Path::new("limitBytes"), bytes, words));
    }
    match number("sinceSeconds") {
        Some(_) if call.query.get("sinceTime").is_some() => {
            let words = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            problems.push(Problem::forbidden(Path::nameless(), words));
        }
        Some(seconds @ ..1) => {
            let words = "must be greater than 0";
            problems.push(Problem::invalid(Path::new("sinceSeconds"), seconds, words));
        }
        _ => {}
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Status::invalid("", "PodLogOptions", pod, &problems))
}

fn parameters(call: &Call) -> String {
    let given = PARAMETERS
        .iter()
        .filter_map(|name| Some((name, call.query.get(name)?)));
    let pairs: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

pub(super) fn escape(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let bytes = value.bytes();
    bytes
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// The container that is meant; a pod of one needs no name.
pub(super) fn container(pod: &Value, asked: &str, name: &str) -> Result<String, Status> {
    let names = |field: &str| -> Vec<String> {
        let list = pod["spec"][field].as_array().into_iter().flatten();
        list.filter_map(|c| c["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (plain, init) = (names("containers"), names("initContainers"));
    if asked.is_empty() {
        if let [only] = plain.as_slice() {
            return Ok(only.clone());
        }
        let mut text = format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            plain.join(" ")
        );
        if !init.is_empty() {
            text.push_str(&format!(
                " or one of the init containers: [{}]",
                init.join(" ")
            ));
        }
        return Err(Status::bad_request(text));
    }
    let ephemeral = names("ephemeralContainers");
    let known = plain
        .iter()
        .chain(&init)
        .chain(&ephemeral)
        .any(|c| c == asked);
    if known {
        return Ok(asked.to_owned());
    }
    Err(Status::bad_request(format!(
        "container {asked} is not valid for pod {name}"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_log_that_an_image_holds_up_is_told_from_one_that_is_there() {
        let pod = |state: Value, last: Value| {
            let status = json!({"name": "main", "state": state, "lastState": last});
            json!({"status": {"containerStatuses": [{"name": "other"}, status]}})
        };
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let why = |pod: &Value| waits_for_image(pod, "main");
        let failing = pod(waiting("ImagePullBackOff"), json!({}));
        assert_eq!(why(&failing), Some("trying and failing to pull image"));
        let refused = pod(waiting("ErrImagePull"), json!({}));
        assert_eq!(why(&refused), Some("image can't be pulled"));
        assert_eq!(why(&pod(waiting("CrashLoopBackOff"), json!({}))), None);
        let ran = pod(
            waiting("ErrImagePull"),
            json!({"terminated": {"exitCode": 1}}),
        );
        assert_eq!(why(&ran), None);
        assert_eq!(waits_for_image(&failing, "other"), None);
    }
}
