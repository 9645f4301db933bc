//! A container's end: its `preStop` hook, SIGTERM, and SIGKILL when its time is over.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use pod::protocol::Verb;
use tokio::time::{Instant, sleep, timeout};

use super::Worker;
use crate::events::Kind;
use crate::pod::containers;
use crate::probe::check::{self, Target};
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
        tokio::spawn(async move {
            let began = Instant::now();
            let mut left = grace;
            if let Some((hook, target)) = hook {
                let _ = timeout(grace, run_hook(&hook, &target, grace)).await;
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

async fn run_hook(hook: &LifecycleHandler, target: &Target, limit: Duration) {
    let result = if let Some(exec) = &hook.exec {
        check::run(exec.command.clone().unwrap_or_default(), target, limit).await
    } else if let Some(get) = &hook.http_get {
        check::request(get, target).await
    } else {
        if let Some(pause) = &hook.sleep {
            sleep(Duration::from_secs(pause.seconds.try_into().unwrap_or(0))).await;
        }
        Ok(())
    };
    if let Err(error) = result {
        tracing::warn!(
            container = target.container.name,
            error,
            "the preStop hook failed"
        );
    }
}
