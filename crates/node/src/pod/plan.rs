//! The next actions for a pod: a pure function of the object, of what was observed and of the time.
//!
//! The order of things is kubelet's (`pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `computePodActions`):
//! the volumes, the sandbox, the init containers one after another, sidecars among them as soon as each has started, then
//! all main containers at once. A pod that is ending stops its main containers first and its sidecars last,
//! in reverse order. Asking again without a change asks for nothing new.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::backoff::later;
use super::containers::{self, Role};
use super::observed::{Observation, Observed, Sandbox};
use super::status;
use crate::volume;

/// Kubernetes' default for `terminationGracePeriodSeconds`.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Something to do for a pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Make the pod's volumes, or bring them up to date.
    MakeVolumes,
    /// Start the supervisor and connect the pod to the network.
    MakeSandbox,
    /// Start an attempt of a container.
    Start {
        /// Which container.
        container: String,
        /// Which attempt.
        attempt: u32,
    },
    /// Have a container end.
    Stop {
        /// Which container.
        container: String,
        /// How long it may take.
        grace: Duration,
        /// For the event.
        why: String,
    },
    /// Kill what is left, and take the network and the namespaces away.
    RemoveSandbox,
    /// Nothing is left of the pod here: remove its files, and the object if it still exists.
    Forget,
}

/// What to do now, and when to look again without a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake_at: Option<Timestamp>,
}

impl Plan {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

/// Decides what to do for a pod.
pub(crate) fn plan(pod: &Pod, observed: &Observed, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if let Some(grace) = ending(pod, observed) {
        end(&mut plan, pod, observed, &StopAll::deleted(grace));
        return plan;
    }
    if let Some(deadline) = status::deadline(pod, observed) {
        if deadline <= now {
            end(&mut plan, pod, observed, &StopAll::past_deadline(pod));
            return plan;
        }
        plan.wake(deadline);
    }
    if status::is_terminal(pod, observed, now) {
        end(&mut plan, pod, observed, &StopAll::completed(pod));
        return plan;
    }
    if keep_volumes(&mut plan, pod, observed, now) == Gate::Closed {
        return plan;
    }
    match &observed.sandbox {
        Some(sandbox) => run(
            &mut plan,
            &Run {
                pod,
                observed,
                sandbox,
                now,
            },
        ),
        None => make_sandbox(&mut plan, observed, now),
    }
    plan
}

/// The grace period of a pod that is to go away.
fn ending(pod: &Pod, observed: &Observed) -> Option<Duration> {
    if observed.gone {
        return Some(Duration::ZERO);
    }
    pod.metadata.deletion_timestamp.as_ref()?;
    Some(match pod.metadata.deletion_grace_period_seconds {
        Some(seconds) => Duration::from_secs(seconds.try_into().unwrap_or(0)),
        None => own_grace(pod),
    })
}

/// How long a pod's containers may take to end, if nobody says otherwise.
pub(crate) fn own_grace(pod: &Pod) -> Duration {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
        .and_then(|seconds| seconds.try_into().ok())
        .map_or(DEFAULT_GRACE, Duration::from_secs)
}

/// How all containers of a pod are brought to their end.
struct StopAll {
    grace: Duration,
    /// The object goes, too.
    forget: bool,
}

impl StopAll {
    fn deleted(grace: Duration) -> Self {
        Self {
            grace,
            forget: true,
        }
    }

    fn past_deadline(pod: &Pod) -> Self {
        Self {
            grace: own_grace(pod),
            forget: false,
        }
    }

    fn completed(pod: &Pod) -> Self {
        Self {
            grace: own_grace(pod),
            forget: false,
        }
    }
}

fn end(plan: &mut Plan, pod: &Pod, observed: &Observed, stop: &StopAll) {
    let running: Vec<(Role, &str)> = containers::all(pod)
        .map(|(role, container)| (role, container.name.as_str()))
        .filter(|(_, name)| is_running(observed, name))
        .collect();
    let sidecars_only = running.iter().all(|(role, _)| *role == Role::Sidecar);
    let next: Vec<&str> = if sidecars_only {
        running.last().map(|(_, name)| *name).into_iter().collect()
    } else {
        let others = running.iter().filter(|(role, _)| *role != Role::Sidecar);
        others.map(|(_, name)| *name).collect()
    };
    for name in &next {
        // A grace period that was shortened must reach containers that are being stopped already.
        plan.act(Action::Stop {
            container: (*name).to_owned(),
            grace: stop.grace,
            why: format!("Stopping container {name}"),
        });
    }
    if running.is_empty() && observed.sandbox.is_some() {
        plan.act(Action::RemoveSandbox);
    } else if running.is_empty() && stop.forget {
        plan.act(Action::Forget);
    }
}

fn is_running(observed: &Observed, name: &str) -> bool {
    observed
        .containers
        .get(name)
        .is_some_and(Observation::is_running)
}

/// Nothing starts before the volumes are there; once they are, a failure to renew them stops nothing.
fn keep_volumes(plan: &mut Plan, pod: &Pod, observed: &Observed, now: Timestamp) -> Gate {
    let volumes = &observed.volumes;
    if volume::all(pod).is_empty() {
        return Gate::Open;
    }
    let is_due = volumes.due.is_some_and(|due| due <= now);
    match &volumes.failure {
        Some(failure) if failure.retry_at > now => plan.wake(failure.retry_at),
        _ if is_due || !volumes.fresh || !volumes.ready => plan.act(Action::MakeVolumes),
        _ => volumes.due.into_iter().for_each(|due| plan.wake(due)),
    }
    if volumes.ready {
        Gate::Open
    } else {
        Gate::Closed
    }
}

fn make_sandbox(plan: &mut Plan, observed: &Observed, now: Timestamp) {
    match &observed.sandbox_failure {
        Some(failure) if failure.retry_at > now => plan.wake(failure.retry_at),
        _ => plan.act(Action::MakeSandbox),
    }
}

/// A pod that is to run, in its sandbox.
struct Run<'a> {
    pod: &'a Pod,
    observed: &'a Observed,
    sandbox: &'a Sandbox,
    now: Timestamp,
}

/// Whether the containers behind this one may start.
#[derive(PartialEq)]
enum Gate {
    Open,
    Closed,
}

fn run(plan: &mut Plan, run: &Run<'_>) {
    let initialised = containers::main(run.pod).any(|main| run.has_begun(main));
    for (role, container) in containers::initial(run.pod) {
        if role == Role::Init && initialised {
            continue;
        }
        let gate = match role {
            Role::Sidecar => keep_sidecar(plan, run, container),
            _ => run_init(plan, run, container),
        };
        if gate == Gate::Closed && !initialised {
            return;
        }
    }
    for container in containers::main(run.pod) {
        keep_running(plan, run, Role::Main, container);
        // kubelet runs the hook before it goes on to the next one.
        if run.observation(container).in_post_start {
            return;
        }
    }
}

fn run_init(plan: &mut Plan, run: &Run<'_>, container: &Container) -> Gate {
    let observation = run.observation(container);
    let done = observation.end().is_some_and(|end| end.code == 0) && run.has_begun(container);
    if done {
        return Gate::Open;
    }
    keep_running(plan, run, Role::Init, container);
    Gate::Closed
}

fn keep_sidecar(plan: &mut Plan, run: &Run<'_>, container: &Container) -> Gate {
    keep_running(plan, run, Role::Sidecar, container);
    let observation = run.observation(container);
    if observation.is_running() && observation.started && !observation.in_post_start {
        Gate::Open
    } else {
        Gate::Closed
    }
}

/// Starts a container that does not run and should, ends one that its probe gave up.
fn keep_running(plan: &mut Plan, run: &Run<'_>, role: Role, container: &Container) {
    let observation = run.observation(container);
    if observation.is_running() {
        stop_unhealthy(plan, run.pod, container, &observation);
        return;
    }
    if let Some(end) = observation.end().filter(|_| run.has_begun(container)) {
        if !containers::restarts(run.pod, role, container, end.code) {
            return;
        }
        let at = observation.backoff.restart_at(end.at);
        if at > run.now {
            return plan.wake(at);
        }
    }
    start(plan, run.now, container, &observation);
}

fn start(plan: &mut Plan, now: Timestamp, container: &Container, observation: &Observation) {
    match &observation.hindrance {
        Some(hindrance) if hindrance.retry_at > now => plan.wake(hindrance.retry_at),
        _ => plan.act(Action::Start {
            container: container.name.clone(),
            attempt: observation.next_attempt(),
        }),
    }
}

fn stop_unhealthy(plan: &mut Plan, pod: &Pod, container: &Container, observation: &Observation) {
    let Some(why) = observation
        .unhealthy
        .as_ref()
        .filter(|_| !observation.stopping)
    else {
        return;
    };
    plan.act(Action::Stop {
        container: container.name.clone(),
        grace: probe_grace(container).unwrap_or_else(|| own_grace(pod)),
        why: why.clone(),
    });
}

/// A liveness probe may give its own grace period.
fn probe_grace(container: &Container) -> Option<Duration> {
    let probe = container.liveness_probe.as_ref()?;
    let seconds = probe.termination_grace_period_seconds?;
    Some(Duration::from_secs(seconds.try_into().ok()?))
}

impl Run<'_> {
    fn observation(&self, container: &Container) -> Observation {
        let known = self.observed.containers.get(&container.name);
        known.cloned().unwrap_or_default()
    }

    /// Whether the container was started in this sandbox.
    fn has_begun(&self, container: &Container) -> bool {
        self.observed
            .containers
            .get(&container.name)
            .is_some_and(|observation| observation.attempt_in(self.sandbox).is_some())
    }
}

/// When to look again after an attempt to make a sandbox or start a container failed.
pub(crate) fn retry_at(now: Timestamp) -> Timestamp {
    later(now, Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
