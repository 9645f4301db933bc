//! A pod's conditions (kubelet, `pkg/kubelet/status/generate.go`).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::containers::{self, Role};

/// What the conditions follow from.
pub(crate) struct Facts<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) phase: &'a str,
    pub(crate) has_sandbox: bool,
    pub(crate) statuses: &'a [ContainerStatus],
    pub(crate) initial_statuses: &'a [ContainerStatus],
    pub(crate) now: Timestamp,
}

/// The node's own conditions, then those that others set, which stay as they are.
pub(crate) fn all(facts: &Facts<'_>) -> Vec<PodCondition> {
    let containers_ready = containers_ready(facts);
    let own = [
        ("PodReadyToStartContainers", Verdict::of(facts.has_sandbox)),
        ("Initialized", initialized(facts)),
        ("Ready", ready(facts, &containers_ready)),
        ("ContainersReady", containers_ready),
    ];
    let known = known(facts.pod);
    let foreign = known
        .iter()
        .filter(|condition| own.iter().all(|(kind, _)| *kind != condition.type_))
        .cloned();
    own.iter()
        .map(|(kind, verdict)| condition(kind, verdict, facts))
        .chain(foreign)
        .collect()
}

#[derive(Clone, Debug, Default)]
struct Verdict {
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn of(holds: bool) -> Self {
        Self {
            holds,
            ..Self::default()
        }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self {
            holds: false,
            reason,
            message,
        }
    }
}

fn known(pod: &Pod) -> &[PodCondition] {
    pod.status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default()
}

/// The transition time stays while the status does.
fn condition(kind: &str, verdict: &Verdict, facts: &Facts<'_>) -> PodCondition {
    let status = if verdict.holds { "True" } else { "False" };
    let before = known(facts.pod)
        .iter()
        .find(|condition| condition.type_ == kind && condition.status == status);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: text(verdict.reason),
        message: text(&verdict.message),
        observed_generation: facts.pod.metadata.generation,
        last_transition_time: before
            .and_then(|condition| condition.last_transition_time.clone())
            .or(Some(Time(facts.now))),
        last_probe_time: None,
    }
}

fn terminal(phase: &str) -> Option<Verdict> {
    match phase {
        "Succeeded" => Some(Verdict::no("PodCompleted", String::new())),
        "Failed" => Some(Verdict::no("PodFailed", String::new())),
        _ => None,
    }
}

fn containers_ready(facts: &Facts<'_>) -> Verdict {
    if let Some(verdict) = terminal(facts.phase) {
        return verdict;
    }
    let unready: Vec<&str> = facts
        .initial_statuses
        .iter()
        .filter(|status| role(facts.pod, status) == Some(Role::Sidecar))
        .chain(facts.statuses)
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return Verdict::of(true);
    }
    let names = unready.join(" ");
    Verdict::no(
        "ContainersNotReady",
        format!("containers with unready status: [{names}]"),
    )
}

fn role(pod: &Pod, status: &ContainerStatus) -> Option<Role> {
    containers::find(pod, &status.name).map(|(role, _)| role)
}

fn ready(facts: &Facts<'_>, containers_ready: &Verdict) -> Verdict {
    if !containers_ready.holds {
        return containers_ready.clone();
    }
    let gates = facts
        .pod
        .spec
        .iter()
        .flat_map(|spec| spec.readiness_gates.iter().flatten());
    let problems: Vec<String> = gates
        .filter_map(|gate| gate_problem(facts.pod, &gate.condition_type))
        .collect();
    if problems.is_empty() {
        Verdict::of(true)
    } else {
        Verdict::no("ReadinessGatesNotReady", problems.join(", "))
    }
}

fn gate_problem(pod: &Pod, gate: &str) -> Option<String> {
    let condition = known(pod).iter().find(|condition| condition.type_ == gate);
    match condition.map(|condition| condition.status.as_str()) {
        Some("True") => None,
        Some(status) => Some(format!(
            "the status of pod readiness gate \"{gate}\" is not \"True\", but {status}"
        )),
        None => Some(format!(
            "corresponding condition of pod readiness gate \"{gate}\" does not exist."
        )),
    }
}

fn initialized(facts: &Facts<'_>) -> Verdict {
    if facts.phase == "Succeeded" {
        return Verdict {
            holds: true,
            reason: "PodCompleted",
            message: String::new(),
        };
    }
    let begun = |status: &ContainerStatus| {
        let state = status.state.iter().chain(&status.last_state);
        state
            .into_iter()
            .any(|state| state.running.is_some() || state.terminated.is_some())
    };
    if facts.statuses.iter().any(begun) {
        return Verdict::of(true);
    }
    let incomplete: Vec<&str> = facts
        .initial_statuses
        .iter()
        .filter(|status| match role(facts.pod, status) {
            Some(Role::Sidecar) => status.started != Some(true),
            _ => !status.ready,
        })
        .map(|status| status.name.as_str())
        .collect();
    if incomplete.is_empty() {
        return Verdict::of(true);
    }
    let names = incomplete.join(" ");
    Verdict::no(
        "ContainersNotInitialized",
        format!("containers with incomplete status: [{names}]"),
    )
}
