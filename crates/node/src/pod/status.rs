//! A pod's status, from the object and what was observed.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff::later;
use super::conditions::{self, Facts};
use super::containers::{self, Role};
use super::observed::{End, Observation, Observed};

/// The status to report.
pub(crate) fn status(
    pod: &Pod,
    observed: &Observed,
    node_addresses: &[IpAddr],
    now: Timestamp,
) -> PodStatus {
    let view = View { pod, observed, now };
    let statuses: Vec<_> = containers::main(pod)
        .map(|container| view.container(Role::Main, container))
        .collect();
    let initial_statuses: Vec<_> = containers::initial(pod)
        .map(|(role, container)| view.container(role, container))
        .collect();
    let (phase, failure) = view.phase();
    let facts = Facts {
        pod,
        phase,
        has_sandbox: observed.sandbox.is_some(),
        statuses: &statuses,
        initial_statuses: &initial_statuses,
        now,
    };
    let conditions = conditions::all(&facts);
    let mut status = pod.status.clone().unwrap_or_default();
    status.phase = Some(phase.to_owned());
    status.conditions = Some(conditions);
    status.observed_generation = pod.metadata.generation;
    if let Some((reason, message)) = failure {
        status.reason = Some(reason);
        status.message = Some(message);
    }
    status.start_time = status.start_time.or(observed.start_time.map(Time));
    status.container_statuses = Some(statuses);
    status.init_container_statuses = (!initial_statuses.is_empty()).then_some(initial_statuses);
    set_addresses(&mut status, pod, observed, node_addresses);
    status
}

/// When the pod has run longer than it may, if it has such a limit.
pub(crate) fn deadline(pod: &Pod, observed: &Observed) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    let seconds = Duration::from_secs(seconds.try_into().ok()?);
    Some(later(observed.start_time?, seconds))
}

/// Whether the pod has ended for good.
pub(crate) fn is_terminal(pod: &Pod, observed: &Observed, now: Timestamp) -> bool {
    let (phase, _) = View { pod, observed, now }.phase();
    matches!(phase, "Succeeded" | "Failed")
}

fn set_addresses(status: &mut PodStatus, pod: &Pod, observed: &Observed, node: &[IpAddr]) {
    status.host_ip = node.first().map(ToString::to_string);
    status.host_ips = Some(
        node.iter()
            .map(|ip| HostIP { ip: ip.to_string() })
            .collect(),
    );
    let Some(sandbox) = &observed.sandbox else {
        return;
    };
    let addresses = if is_on_host_network(pod) {
        node
    } else {
        &sandbox.addresses
    };
    status.pod_ip = addresses.first().map(ToString::to_string);
    status.pod_ips = Some(
        addresses
            .iter()
            .map(|ip| PodIP { ip: ip.to_string() })
            .collect(),
    );
}

/// Whether the pod shares the node's network.
pub(crate) fn is_on_host_network(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.host_network).unwrap_or(false)
}

struct View<'a> {
    pod: &'a Pod,
    observed: &'a Observed,
    now: Timestamp,
}

impl View<'_> {
    fn container(&self, role: Role, container: &Container) -> ContainerStatus {
        let unknown = Observation::default();
        let known = self.observed.containers.get(&container.name);
        let observation = known.unwrap_or(&unknown);
        let (state, last_state) = self.states(role, container, observation);
        let running = observation.is_running() && !observation.in_post_start;
        let ready = match role {
            Role::Init => observation.end().is_some_and(|end| end.code == 0),
            _ => running && observation.started && observation.ready,
        };
        ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            image_id: observation.image_id.clone(),
            container_id: observation
                .state
                .as_ref()
                .map(|state| self.id(&state.name, state.attempt)),
            ready,
            restart_count: restarts(observation),
            started: Some(running && (role == Role::Init || observation.started)),
            state: Some(state),
            last_state,
            ..ContainerStatus::default()
        }
    }

    fn states(
        &self,
        role: Role,
        container: &Container,
        observation: &Observation,
    ) -> (ContainerState, Option<ContainerState>) {
        let previous = observation.previous.as_ref().and_then(|state| {
            Some(self.terminated(&state.name, state.attempt, &observation.end_as_seen(state)?))
        });
        if let Some(since) = observation.running_since() {
            // As with kubelet, which reports nothing new while it waits for the hook.
            let state = if observation.in_post_start {
                waiting("ContainerCreating", "")
            } else {
                running(since)
            };
            return (state, previous);
        }
        let Some((end, attempt)) = self.end(observation) else {
            return (self.not_started(observation), None);
        };
        let terminated = self.terminated(&attempt.0, attempt.1, &end);
        match self.wait_after(role, container, observation, &end) {
            Some(waiting) => (waiting, Some(terminated)),
            None => (terminated, previous),
        }
    }

    fn end(&self, observation: &Observation) -> Option<(End, (String, u32))> {
        let state = observation.state.as_ref()?;
        Some((observation.end()?, (state.name.clone(), state.attempt)))
    }

    /// Why a container that has never run does not run yet.
    fn not_started(&self, observation: &Observation) -> ContainerState {
        if let Some(hindrance) = &observation.hindrance {
            return waiting(&hindrance.reason, &hindrance.message);
        }
        let has_initial = containers::initial(self.pod).next().is_some();
        waiting(
            if has_initial {
                "PodInitializing"
            } else {
                "ContainerCreating"
            },
            "",
        )
    }

    /// What an ended container waits for, if it is to start again.
    fn wait_after(
        &self,
        role: Role,
        container: &Container,
        observation: &Observation,
        end: &End,
    ) -> Option<ContainerState> {
        let over = self.observed.gone
            || self.pod.metadata.deletion_timestamp.is_some()
            || self.is_past_deadline()
            || !containers::restarts(self.pod, role, container, end.code);
        if over {
            return None;
        }
        if let Some(hindrance) = &observation.hindrance {
            return Some(waiting(&hindrance.reason, &hindrance.message));
        }
        if observation.backoff.restart_at(end.at) <= self.now {
            return None;
        }
        let delay = observation.backoff.delay(end.at).as_secs();
        let message = back_off_message(self.pod, &container.name, delay);
        Some(waiting("CrashLoopBackOff", &message))
    }

    fn terminated(&self, name: &str, attempt: u32, end: &End) -> ContainerState {
        ContainerState {
            terminated: Some(ContainerStateTerminated {
                container_id: Some(self.id(name, attempt)),
                exit_code: end.code,
                // kubelet never fills `signal` from the container runtime interface; 128 + n says it.
                signal: None,
                reason: Some(end.reason.to_owned()),
                message: end.message.clone(),
                started_at: Some(Time(end.started_at.unwrap_or(end.at))),
                finished_at: Some(Time(end.at)),
            }),
            ..ContainerState::default()
        }
    }

    fn id(&self, name: &str, attempt: u32) -> String {
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        format!("fairway://{uid}/{name}/{attempt}")
    }

    fn is_past_deadline(&self) -> bool {
        deadline(self.pod, self.observed).is_some_and(|deadline| deadline <= self.now)
    }

    /// The phase, and why a pod that failed as a whole did.
    fn phase(&self) -> (&'static str, Option<(String, String)>) {
        let reported = self
            .pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        match reported {
            Some("Succeeded") => return ("Succeeded", None),
            Some("Failed") => return ("Failed", None),
            _ => {}
        }
        if self.is_past_deadline() {
            let message = "Pod was active on the node longer than the specified deadline";
            return ("Failed", Some(("DeadlineExceeded".into(), message.into())));
        }
        (self.phase_of_containers(), None)
    }

    fn phase_of_containers(&self) -> &'static str {
        let inits: Vec<_> = self.sorted(Role::Init).collect();
        if inits.contains(&Progress::Failed) {
            return "Failed";
        }
        let mains: Vec<_> = self.sorted(Role::Main).collect();
        let any = |wanted| mains.contains(&wanted);
        if any(Progress::NotStarted) {
            "Pending"
        } else if any(Progress::Running) || any(Progress::Restarting) {
            "Running"
        } else if mains
            .iter()
            .all(|progress| *progress == Progress::Succeeded)
        {
            "Succeeded"
        } else {
            "Failed"
        }
    }

    fn sorted(&self, wanted: Role) -> impl Iterator<Item = Progress> {
        containers::all(self.pod)
            .filter(move |(role, _)| *role == wanted)
            .map(|(role, container)| self.progress(role, container))
    }

    fn progress(&self, role: Role, container: &Container) -> Progress {
        let Some(observation) = self.observed.containers.get(&container.name) else {
            return Progress::NotStarted;
        };
        if observation.in_post_start && observation.next_attempt() <= 1 {
            return Progress::NotStarted;
        }
        if observation.is_running() {
            return Progress::Running;
        }
        match observation.end() {
            None => Progress::NotStarted,
            Some(end) if role == Role::Init && end.code == 0 => Progress::Succeeded,
            Some(end) if containers::restarts(self.pod, role, container, end.code) => {
                Progress::Restarting
            }
            Some(end) if end.code == 0 => Progress::Succeeded,
            Some(_) => Progress::Failed,
        }
    }
}

/// How far a container is, for the phase.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Progress {
    NotStarted,
    Running,
    /// It has ended and will start again.
    Restarting,
    Succeeded,
    Failed,
}

/// kubelet's words for a container that waits for its back-off.
pub(crate) fn back_off_message(pod: &Pod, container: &str, seconds: u64) -> String {
    let delay = match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    };
    let full_name = full_name(pod);
    format!("back-off {delay} restarting failed container={container} pod={full_name}")
}

/// `name_namespace(uid)`, as kubelet's messages have it.
pub(crate) fn full_name(pod: &Pod) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let meta = &pod.metadata;
    format!(
        "{}_{}({})",
        text(&meta.name),
        text(&meta.namespace),
        text(&meta.uid)
    )
}

fn restarts(observation: &Observation) -> i32 {
    let attempt = observation.state.as_ref().map_or(0, |state| state.attempt);
    attempt.try_into().unwrap_or(i32::MAX)
}

fn running(since: Timestamp) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(Time(since)),
        }),
        ..ContainerState::default()
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..ContainerState::default()
    }
}

#[cfg(test)]
mod tests;
