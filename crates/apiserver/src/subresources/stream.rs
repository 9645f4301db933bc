//! `attach`, `exec` and `portforward`: streams between a client and a pod, by way of its node's agent.

use api::status::Status;

use super::log::{agent, container, escape};
use crate::api_state::Api;
use crate::call::Call;
use crate::reply::Reply;
use crate::routes::Target;

/// The parameters of `PodExecOptions` that say yes or no, and the agent's names for them.
const FLAGS: [(&str, &str); 4] = [
    ("stdin", "input"),
    ("stdout", "output"),
    ("stderr", "error"),
    ("tty", "tty"),
];

/// Checks what can be checked here, and connects the client with the agent.
pub(crate) async fn connect(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let pod = api.existing(target).await?.object;
    let container = match target.subresource.as_str() {
        "portforward" => String::new(),
        _ => container(&pod, call.query.text("container"), &target.name)?,
    };
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        let text = format!("pod {} does not have a host assigned", target.name);
        return Err(Status::bad_request(text));
    }
    if target.subresource != "exec" {
        return Err(super::not_yet(target, &target.subresource));
    }
    let client = call
        .take_upgrade()
        .ok_or_else(|| Status::bad_request("Upgrade request required"))?;
    let (kubelet, node) = agent(api, node)
        .map_err(|why| Status::untyped(format!("exec in {}: {why}", target.name)))?;
    let path = format!(
        "/exec/{}/{}/{container}?{}",
        target.namespace,
        target.name,
        parameters(call)
    );
    kubelet.upgrade(&node, &path, call, client).await
}

fn parameters(call: &Call) -> String {
    let flags = FLAGS.iter().filter_map(|(ours, agents)| {
        let is_set = call.query.flag(ours) == Some(true);
        is_set.then(|| format!("{agents}=1"))
    });
    let words = call.query.all("command");
    let words = words.map(|word| format!("command={}", escape(word)));
    flags.chain(words).collect::<Vec<_>>().join("&")
}
