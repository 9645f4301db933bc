//! A pod that was there before this agent: its supervisor is found again, or its loss noted.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ContainerStatus;
use pod::protocol::{ContainerState, Outcome, Phase, Verb};

use super::Worker;
use super::sandbox::ATTACHMENT_FILE;
use crate::pod::containers;
use crate::pod::observed::Sandbox;
use crate::pod_network::{self, Attachment};
use crate::supervisor::Supervisor;

impl Worker {
    /// Takes over what is there.
    pub(super) async fn adopt(&mut self) {
        let directory = self.run_directory();
        if directory.exists() {
            self.attachment = read_attachment(&directory);
            if !self.take_over(&directory).await {
                self.restore_lost(pod::record::read_all(&directory));
                self.tear_down().await;
            }
        }
        if self.observed.containers.is_empty() {
            self.restore_lost(reported(&self.pod));
        }
        self.restore_image_ids();
    }

    async fn take_over(&mut self, directory: &Path) -> bool {
        let Some(attachment) = self.attachment.clone() else {
            return false;
        };
        let Ok((supervisor, states)) = Supervisor::connect(directory, &self.uid).await else {
            return false;
        };
        let Ok(Outcome::States { states: known }) = supervisor.ask(Verb::States).await else {
            return false;
        };
        if let Err(error) = pod_network::restore(&self.context.netlink, &attachment).await {
            tracing::warn!(pod = self.uid, %error, "the pod's routes could not be restored");
        }
        self.supervisor = Some(Arc::new(supervisor));
        self.states = Some(states);
        self.observed.sandbox = Some(Sandbox {
            since: attachment.since,
            addresses: attachment.addresses,
        });
        for state in known {
            self.restore_health(&state);
            self.on_state(state);
        }
        true
    }

    /// An agent's restart must not make a pod unready: what was reported holds until a probe says otherwise.
    fn restore_health(&mut self, state: &ContainerState) {
        let Some(status) = reported_status(&self.pod, &state.name).cloned() else {
            return;
        };
        let has_startup_probe = containers::find(&self.pod, &state.name)
            .is_some_and(|(_, container)| container.startup_probe.is_some());
        let same_attempt = u32::try_from(status.restart_count) == Ok(state.attempt);
        if same_attempt && matches!(state.phase, Phase::Running { .. }) {
            let observation = self
                .observed
                .containers
                .entry(state.name.clone())
                .or_default();
            // As if the attempt were known already, so that it is not taken for a new one.
            observation.state = Some(state.clone());
            // Without a startup probe it may have been reported as not started only while its hook ran.
            observation.started = status.started.unwrap_or(false) || !has_startup_probe;
            observation.ready = status.ready;
        }
    }

    fn restore_lost(&mut self, states: Vec<ContainerState>) {
        for mut state in states {
            state.pid = None;
            let name = state.name.clone();
            let observation = self.observed.containers.entry(name.clone()).or_default();
            observation.previous = observation.state.take();
            observation.state = Some(state);
            self.lose(&name);
            self.read_message(&name);
        }
    }

    fn restore_image_ids(&mut self) {
        let pod = &self.pod;
        for (name, observation) in &mut self.observed.containers {
            if let Some(status) = reported_status(pod, name) {
                observation.image_id.clone_from(&status.image_id);
            }
        }
    }
}

/// The record of a pod's place in the network.
pub(crate) fn read_attachment(directory: &Path) -> Option<Attachment> {
    let text = fs::read(directory.join(ATTACHMENT_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Attempts that the API knows of, when nothing on the machine does: after a reboot.
fn reported(pod: &k8s_openapi::api::core::v1::Pod) -> Vec<ContainerState> {
    containers::all(pod)
        .filter_map(|(_, container)| state_of(reported_status(pod, &container.name)?))
        .collect()
}

fn state_of(status: &ContainerStatus) -> Option<ContainerState> {
    let state = status.state.as_ref()?;
    let running = state
        .running
        .as_ref()
        .map(|running| running.started_at.as_ref());
    let phase = if let Some(started_at) = running {
        Phase::Running {
            started_at: started_at?.0,
        }
    } else {
        let last = status
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        let ended = state.terminated.as_ref().or(last)?;
        Phase::Exited {
            started_at: ended.started_at.as_ref()?.0,
            finished_at: ended.finished_at.as_ref()?.0,
            exit_code: ended.exit_code,
            signal: None,
            out_of_memory: ended.reason.as_deref() == Some("OOMKilled"),
        }
    };
    Some(ContainerState {
        name: status.name.clone(),
        attempt: status.restart_count.try_into().ok()?,
        pid: None,
        phase,
    })
}

fn reported_status<'a>(
    pod: &'a k8s_openapi::api::core::v1::Pod,
    container: &str,
) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses)
        .flatten();
    all.into_iter().find(|status| status.name == container)
}
