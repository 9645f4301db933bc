//! What is known of a pod on this node: the input of [`super::plan`] and [`super::status`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use pod::protocol::{ContainerState, Phase};

use super::backoff::Backoff;

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// The pod's namespaces and network, if they exist.
    pub(crate) sandbox: Option<Sandbox>,
    /// Why the sandbox could not be made, and when to try again.
    pub(crate) sandbox_failure: Option<Hindrance>,
    /// The pod's volumes.
    pub(crate) volumes: Volumes,
    /// By container name; containers that were never touched are absent.
    pub(crate) containers: BTreeMap<String, Observation>,
    /// The object is no longer in the API.
    pub(crate) gone: bool,
    /// When this node first saw the pod.
    pub(crate) start_time: Option<Timestamp>,
}

/// A pod's namespaces and network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sandbox {
    /// Since when; containers started before belong to an earlier one.
    pub(crate) since: Timestamp,
    /// The pod's addresses, the primary family first.
    pub(crate) addresses: Vec<IpAddr>,
}

/// What is known of a pod's volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Volumes {
    /// They are there, so containers can start.
    pub(crate) ready: bool,
    /// They hold what they should, until `due`.
    pub(crate) fresh: bool,
    /// When something in them gets old.
    pub(crate) due: Option<Timestamp>,
    /// Why they could not be made or renewed, and when to try again.
    pub(crate) failure: Option<Hindrance>,
}

/// What is known of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observation {
    /// The newest attempt.
    pub(crate) state: Option<ContainerState>,
    /// The attempt before it.
    pub(crate) previous: Option<ContainerState>,
    /// Why it cannot be started at the moment.
    pub(crate) hindrance: Option<Hindrance>,
    /// How long it waits after its end.
    pub(crate) backoff: Backoff,
    /// It has been asked to end.
    pub(crate) stopping: bool,
    /// Its startup probe has succeeded, or it has none.
    pub(crate) started: bool,
    /// Its readiness probe holds it ready, or it has none.
    pub(crate) ready: bool,
    /// The liveness or startup probe wants it ended; the text says why.
    pub(crate) unhealthy: Option<String>,
    /// `image` as resolved: what is in `status.imageID`.
    pub(crate) image_id: String,
    /// What the programs of attempts left as their last words.
    pub(crate) messages: BTreeMap<u32, String>,
    /// Its `postStart` hook runs: until it ends the container does not count as running.
    pub(crate) in_post_start: bool,
    /// The attempt whose end nobody saw, because its supervisor died.
    pub(crate) lost: Option<u32>,
}

/// Something that keeps a container or a sandbox from starting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hindrance {
    /// A word such as `ErrImagePull`.
    pub(crate) reason: String,
    /// For the reader of the status.
    pub(crate) message: String,
    /// When to try again.
    pub(crate) retry_at: Timestamp,
}

/// The message of an attempt whose end nobody saw.
const LOST: &str = "The pod's supervisor died, and its containers with it";

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) at: Timestamp,
    pub(crate) reason: &'static str,
    pub(crate) message: Option<String>,
}

impl Observation {
    /// Since when it runs, if it does.
    pub(crate) fn running_since(&self) -> Option<Timestamp> {
        match self.state.as_ref()?.phase {
            Phase::Running { started_at } => Some(started_at),
            _ => None,
        }
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running_since().is_some()
    }

    /// How its newest attempt ended, if it did.
    pub(crate) fn end(&self) -> Option<End> {
        self.end_as_seen(self.state.as_ref()?)
    }

    /// How an attempt ended, or that nobody saw it.
    pub(crate) fn end_as_seen(&self, state: &ContainerState) -> Option<End> {
        let mut end = end_of(state)?;
        if end.message.is_none() {
            end.message = self.messages.get(&state.attempt).cloned();
        }
        if self.lost == Some(state.attempt) {
            end.reason = "ContainerStatusUnknown";
            end.message = Some(LOST.to_owned());
        }
        Some(end)
    }

    /// The newest attempt, if it was started in this sandbox.
    pub(crate) fn attempt_in(&self, sandbox: &Sandbox) -> Option<&ContainerState> {
        self.state
            .as_ref()
            .filter(|state| began_at(state) >= sandbox.since)
    }

    /// The number of the next attempt; as a count, how often it was started again.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.state.as_ref().map_or(0, |state| state.attempt + 1)
    }
}

/// How an attempt ended, if it did.
fn end_of(state: &ContainerState) -> Option<End> {
    match &state.phase {
        Phase::Running { .. } => None,
        Phase::Exited {
            started_at,
            finished_at,
            exit_code,
            signal,
            out_of_memory,
        } => Some(End {
            code: *exit_code,
            signal: *signal,
            started_at: Some(*started_at),
            at: *finished_at,
            reason: match (exit_code, out_of_memory) {
                (_, true) => "OOMKilled",
                (0, _) => "Completed",
                _ => "Error",
            },
            message: None,
        }),
        Phase::StartFailed { at, message } => Some(End {
            code: 128,
            signal: None,
            started_at: None,
            at: *at,
            reason: "StartError",
            message: Some(message.clone()),
        }),
    }
}

fn began_at(state: &ContainerState) -> Timestamp {
    match state.phase {
        Phase::Running { started_at } | Phase::Exited { started_at, .. } => started_at,
        Phase::StartFailed { at, .. } => at,
    }
}
