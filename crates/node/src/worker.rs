//! One pod's task: observes, has [`crate::pod::plan`] decide, carries it out, reports.
//!
//! Everything about a pod happens here, one thing after another, so there is nothing to lock. Pods do not
//! wait for each other.

mod adopt;
mod bundle;
mod ending;
mod hooks;
mod probes;
mod report;
mod sandbox;
mod start;
mod stop;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use pod::protocol::{ContainerState, Phase};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::events::Kind;
use crate::pod::containers;
use crate::pod::observed::Observed;
use crate::pod::plan::{Action, plan};
use crate::pod::status::full_name;
use crate::pod_network::Attachment;
use crate::probe::{Answer, Purpose, Running};
use crate::supervisor::{States, Supervisor};
use crate::volume;
use hooks::HookEnd;
use report::Report;
use volumes::VolumeKeeper;

pub(crate) use adopt::read_attachment;
pub(crate) use report::remove_files;
pub(crate) use sandbox::{end as end_supervisor, kill_group};

/// Answers of probes that wait for the worker.
const ANSWERS_QUEUE: usize = 64;

/// Ends of hooks that wait for the worker.
const HOOKS_QUEUE: usize = 16;

/// Without a reason to wake earlier, a worker looks again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The newest that the API says about a pod.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) pod: Arc<Pod>,
    pub(crate) gone: bool,
}

/// One pod's task.
pub(crate) struct Worker {
    context: Arc<Context>,
    pod: Pod,
    uid: String,
    observed: Observed,
    attachment: Option<Attachment>,
    supervisor: Option<Arc<Supervisor>>,
    states: Option<States>,
    probes: BTreeMap<(String, Purpose), Running>,
    answers: mpsc::Receiver<Answer>,
    answers_sender: mpsc::Sender<Answer>,
    hooks: mpsc::Receiver<HookEnd>,
    hooks_sender: mpsc::Sender<HookEnd>,
    volumes: VolumeKeeper,
    /// When each stopping container will be killed.
    kill_times: BTreeMap<String, Instant>,
    updates: watch::Receiver<Update>,
    report: Report,
}

impl Worker {
    /// A worker for a pod.
    pub(crate) fn new(context: Arc<Context>, mut updates: watch::Receiver<Update>) -> Self {
        let update = updates.borrow_and_update().clone();
        let (answers_sender, answers) = mpsc::channel(ANSWERS_QUEUE);
        let (hooks_sender, hooks) = mpsc::channel(HOOKS_QUEUE);
        let known_start = update
            .pod
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref());
        let start_time = known_start.map_or_else(Timestamp::now, |time| time.0);
        Self {
            context,
            uid: update.pod.metadata.uid.clone().unwrap_or_default(),
            pod: Arc::unwrap_or_clone(update.pod),
            observed: Observed {
                start_time: Some(start_time),
                gone: update.gone,
                ..Observed::default()
            },
            attachment: None,
            supervisor: None,
            states: None,
            probes: BTreeMap::new(),
            answers,
            answers_sender,
            hooks,
            hooks_sender,
            volumes: VolumeKeeper::default(),
            kill_times: BTreeMap::new(),
            updates,
            report: Report::default(),
        }
    }

    /// Works until nothing is left of the pod on this node.
    pub(crate) async fn run(mut self) {
        self.adopt().await;
        while let Some(wake_at) = self.act().await {
            self.begin_report();
            self.wait(wake_at).await;
        }
    }

    /// Acts until there is nothing to do right now. `None`: the pod is forgotten.
    async fn act(&mut self) -> Option<Instant> {
        loop {
            let plan = plan(&self.pod, &self.observed, Timestamp::now());
            let mut changed = false;
            for action in plan.actions {
                if action == Action::Forget {
                    self.forget().await;
                    return None;
                }
                changed |= self.perform(action).await;
            }
            if !changed {
                return Some(instant(plan.wake_at));
            }
        }
    }

    /// Performs an action; says whether what is observed has changed.
    async fn perform(&mut self, action: Action) -> bool {
        match action {
            Action::MakeVolumes => self.make_volumes().await,
            Action::MakeSandbox => self.make_sandbox().await,
            Action::Start { container, attempt } => self.start(&container, attempt).await,
            Action::Stop {
                container,
                grace,
                why,
            } => {
                self.stop(&container, grace, &why);
                return false;
            }
            Action::RemoveSandbox => self.remove_sandbox().await,
            Action::Forget => {}
        }
        self.take_states();
        true
    }

    async fn wait(&mut self, wake_at: Instant) {
        let wake_at = self.report.wake_at().map_or(wake_at, |at| at.min(wake_at));
        tokio::select! {
            changed = self.updates.changed() => match changed {
                Ok(()) => self.take_update(),
                // The node stops; pods go on.
                Err(_) => std::future::pending().await,
            },
            state = next_state(&mut self.states) => match state {
                Some(state) => self.on_state(state),
                None => self.on_supervisor_lost().await,
            },
            Some(answer) = self.answers.recv() => self.on_answer(answer),
            Some(end) = self.hooks.recv() => self.on_hook_end(end),
            () = self.volumes.changed() => self.on_volumes_changed(),
            result = self.report.finished() => self.on_reported(result).await,
            () = sleep_until(wake_at) => {}
        }
    }

    fn take_update(&mut self) {
        let update = self.updates.borrow_and_update().clone();
        self.observed.gone |= update.gone;
        self.set_pod(Arc::unwrap_or_clone(update.pod));
    }

    /// Takes a newer object. Watch and answers to writes race; the older loses.
    fn set_pod(&mut self, pod: Pod) {
        let version = |pod: &Pod| pod.metadata.resource_version.as_ref()?.parse::<u64>().ok();
        if version(&pod) < version(&self.pod) {
            return;
        }
        let shown = |pod: &Pod| {
            (
                pod.metadata.labels.clone(),
                pod.metadata.annotations.clone(),
            )
        };
        let changed = shown(&pod) != shown(&self.pod);
        self.pod = pod;
        if changed && !volume::all(&self.pod).is_empty() {
            self.on_volumes_changed();
        }
    }

    fn take_states(&mut self) {
        while let Some(state) = self
            .states
            .as_mut()
            .and_then(|states| states.try_recv().ok())
        {
            self.on_state(state);
        }
    }

    fn on_state(&mut self, state: ContainerState) {
        let name = state.name.clone();
        let has_startup_probe = containers::find(&self.pod, &name)
            .is_some_and(|(_, container)| container.startup_probe.is_some());
        let observation = self.observed.containers.entry(name.clone()).or_default();
        let is_new = observation.state.as_ref().map(|known| known.attempt) != Some(state.attempt);
        if is_new {
            observation.previous = observation.state.take();
            observation.stopping = false;
            observation.unhealthy = None;
            observation.in_post_start = false;
            observation.started = !has_startup_probe;
            observation.ready = false;
            self.kill_times.remove(&name);
        }
        let runs = matches!(state.phase, Phase::Running { .. });
        let attempt = state.attempt;
        observation.state = Some(state);
        if !runs {
            observation.in_post_start = false;
            self.end_probes(&name);
            self.read_message(&name);
            return self.note_end(&name);
        }
        if is_new && self.begin_post_start(&name, attempt) {
            if let Some(observation) = self.observed.containers.get_mut(&name) {
                observation.in_post_start = true;
            }
            return;
        }
        self.start_probes(&name);
    }

    /// Tells of an end that leads to waiting for the back-off.
    fn note_end(&self, name: &str) {
        let observation = &self.observed.containers[name];
        let found = containers::find(&self.pod, name).zip(observation.end());
        let Some(((role, container), end)) = found else {
            return;
        };
        if end.reason == "StartError" {
            let message = format!("Error: {}", end.message.unwrap_or_default());
            self.note(Some(name), (Kind::Warning, "Failed"), message);
        }
        let ending = self.observed.gone || self.pod.metadata.deletion_timestamp.is_some();
        let waits = observation.backoff.restart_at(end.at) > Timestamp::now();
        if waits && !ending && containers::restarts(&self.pod, role, container, end.code) {
            let pod = full_name(&self.pod);
            let message = format!("Back-off restarting failed container {name} in pod {pod}");
            self.note(Some(name), (Kind::Warning, "BackOff"), message);
        }
    }

    fn note(
        &self,
        container: Option<&str>,
        what: (Kind, &'static str),
        message: impl Into<String>,
    ) {
        self.context
            .events
            .note(&self.pod, container, what, message);
    }
}

async fn next_state(states: &mut Option<States>) -> Option<ContainerState> {
    match states {
        Some(states) => states.recv().await,
        None => std::future::pending().await,
    }
}

/// A time of the calendar as one of the runtime's clock.
fn instant(at: Option<Timestamp>) -> Instant {
    let left = at.map_or(LOOK_AGAIN, |at| {
        let left = at.duration_since(Timestamp::now());
        Duration::try_from(left).unwrap_or_default()
    });
    Instant::now() + left.min(LOOK_AGAIN)
}
