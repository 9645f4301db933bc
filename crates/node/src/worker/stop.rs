//! A container's end: its `preStop` hook, SIGTERM, and SIGKILL when its time is over.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use pod::protocol::Verb;
use tokio::time::{Instant, timeout};

use super::{Worker, hooks};
use crate::events::Kind;
use crate::pod::containers;
use crate::probe::check::Target;
use crate::supervisor::Supervisor;

/// What a container gets after its hook at least, as kubelet has it.
const LEAST_GRACE: Duration = Duration::from_secs(2);

impl Worker {
    /// Has a container end. Asking again matters only when it leaves less time.
    pub(super) fn stop(&mut self, name: &str, grace: Duration, why: &str) {
        let kill_at = Instant::now() + grace;
        let known = self.kill_times.get(name).copied();
        // Asked again the same question, the clock has gone on and `kill_at` is later.
        if known.is_some_and(|known| known <= kill_at) {
            return;
        }
        let Some(supervisor) = self.supervisor.clone() else {
            return;
        };
        self.kill_times.insert(name.to_owned(), kill_at);
        if known.is_some() {
            tokio::spawn(terminate(supervisor, name.to_owned(), grace));
            return;
        }
        self.note(Some(name), (Kind::Normal, "Killing"), why);
        if let Some(observation) = self.observed.containers.get_mut(name) {
            observation.stopping = true;
        }
        let hook = self.hook(name).filter(|_| !grace.is_zero());
        let name = name.to_owned();
        let (context, pod) = (self.context.clone(), self.pod.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            let mut left = grace;
            if let Some((hook, target)) = hook {
                let ran = timeout(grace, hooks::run(&hook, &target, grace)).await;
                if let Err(error) = ran.unwrap_or_else(|_| Err("it takes too long".to_owned())) {
                    tracing::warn!(container = name, error, "the preStop hook failed");
                    let what = (Kind::Warning, "FailedPreStopHook");
                    context
                        .events
                        .note(&pod, Some(&name), what, "PreStopHook failed");
                }
                left = grace.saturating_sub(began.elapsed()).max(LEAST_GRACE);
            }
            terminate(supervisor, name, left).await;
        });
    }

    fn hook(&self, name: &str) -> Option<(LifecycleHandler, Target)> {
        let (_, container) = containers::find(&self.pod, name)?;
        let hook = pre_stop(container)?.clone();
        Some((hook, self.target(container)?))
    }
}

fn pre_stop(container: &Container) -> Option<&LifecycleHandler> {
    container.lifecycle.as_ref()?.pre_stop.as_ref()
}

async fn terminate(supervisor: Arc<Supervisor>, container: String, grace: Duration) {
    let grace_millis = grace.as_millis().try_into().unwrap_or(u64::MAX);
    // A supervisor that does not answer is dead, and the container with it.
    let _ = supervisor
        .ask(Verb::Stop {
            container,
            grace_millis,
        })
        .await;
}
