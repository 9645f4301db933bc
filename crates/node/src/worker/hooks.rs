//! Lifecycle hooks: `postStart` beside a container that has just started, `preStop` before it is asked to end.

use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;
use tokio::time::sleep;

use super::Worker;
use crate::events::Kind;
use crate::pod::containers;
use crate::probe::check::{self, Target};

/// A `postStart` command may take as long as it likes; the container's end ends it.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a `postStart` hook ended.
#[derive(Debug)]
pub(super) struct HookEnd {
    container: String,
    attempt: u32,
    result: Result<(), String>,
}

impl Worker {
    /// Starts the `postStart` hook of an attempt that has just started; says whether there is one.
    pub(super) fn begin_post_start(&mut self, name: &str, attempt: u32) -> bool {
        let Some((_, container)) = containers::find(&self.pod, name) else {
            return false;
        };
        let hook = container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.post_start.clone());
        let (Some(hook), Some(target)) = (hook, self.target(container)) else {
            return false;
        };
        let (ends, name) = (self.hooks_sender.clone(), name.to_owned());
        tokio::spawn(async move {
            let result = run(&hook, &target, NO_LIMIT).await;
            let end = HookEnd {
                container: name,
                attempt,
                result,
            };
            // Nobody listens when the pod is gone.
            let _ = ends.send(end).await;
        });
        true
    }

    /// Takes the end of a `postStart` hook: the container counts as running, or is ended.
    pub(super) fn on_hook_end(&mut self, end: HookEnd) {
        let Some(observation) = self.observed.containers.get_mut(&end.container) else {
            return;
        };
        let current = observation.state.as_ref().map(|state| state.attempt);
        if current != Some(end.attempt) || !observation.is_running() {
            return;
        }
        observation.in_post_start = false;
        let name = end.container;
        let Err(error) = end.result else {
            return self.start_probes(&name);
        };
        // The event does not say why, for the reason may hold what the container wants to keep to itself.
        tracing::warn!(
            pod = self.uid,
            container = name,
            error,
            "the postStart hook failed"
        );
        let what = (Kind::Warning, "FailedPostStartHook");
        self.note(Some(&name), what, "PostStartHook failed");
        let grace = crate::pod::plan::own_grace(&self.pod);
        self.stop(&name, grace, "FailedPostStartHook");
    }
}

/// Runs a hook to its end.
pub(super) async fn run(
    hook: &LifecycleHandler,
    target: &Target,
    limit: Duration,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        return check::run(exec.command.clone().unwrap_or_default(), target, limit).await;
    }
    if let Some(get) = &hook.http_get {
        return check::request(get, target).await;
    }
    if let Some(pause) = &hook.sleep {
        sleep(Duration::from_secs(pause.seconds.try_into().unwrap_or(0))).await;
        return Ok(());
    }
    Err("this kind of hook is not supported; exec, httpGet and sleep are".to_owned())
}
