//! A container's probes: started with it, one after another, ended with it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Probe};

use super::Worker;
use crate::events::Kind;
use crate::pod::containers;
use crate::pod::status::is_on_host_network;
use crate::probe::check::Target;
use crate::probe::tracker::Change;
use crate::probe::{Answer, Purpose, Task};

impl Worker {
    /// Starts the probes that are due: the startup probe alone, until it has succeeded.
    pub(super) fn start_probes(&mut self, name: &str) {
        let Some((_, container)) = containers::find(&self.pod, name) else {
            return;
        };
        let container = container.clone();
        let Some(observation) = self.observed.containers.get_mut(name) else {
            return;
        };
        let started = observation.started;
        if started && container.readiness_probe.is_none() {
            observation.ready = true;
        }
        let (is_ready, attempt) = (
            observation.ready,
            observation.state.as_ref().map_or(0, |state| state.attempt),
        );
        let probes: &[(Purpose, &Option<Probe>, bool)] = if started {
            &[
                (Purpose::Readiness, &container.readiness_probe, is_ready),
                (Purpose::Liveness, &container.liveness_probe, true),
            ]
        } else {
            &[(Purpose::Startup, &container.startup_probe, false)]
        };
        for (purpose, probe, passing) in probes {
            if let Some(probe) = probe {
                self.start_probe(&container, (*purpose, attempt, *passing), probe.clone());
            }
        }
    }

    fn start_probe(
        &mut self,
        container: &Container,
        (purpose, attempt, passing): (Purpose, u32, bool),
        probe: Probe,
    ) {
        let key = (container.name.clone(), purpose);
        let (Some(target), false) = (self.target(container), self.probes.contains_key(&key)) else {
            return;
        };
        let task = Task {
            container: container.name.clone(),
            attempt,
            purpose,
            probe,
            target,
            passing,
            answers: self.answers_sender.clone(),
        };
        self.probes.insert(key, task.start());
    }

    /// Where a container is asked.
    pub(super) fn target(&self, container: &Container) -> Option<Target> {
        let own = self.observed.sandbox.as_ref()?.addresses.first().copied();
        let node = self.context.config.addresses.first().copied();
        Some(Target {
            address: if is_on_host_network(&self.pod) {
                node
            } else {
                own
            },
            container: Arc::new(container.clone()),
            supervisor: self.supervisor.clone()?,
        })
    }

    /// Ends a container's probes.
    pub(super) fn end_probes(&mut self, name: &str) {
        self.probes.retain(|(container, _), _| container != name);
    }

    /// Takes an answer of a probe.
    pub(super) fn on_answer(&mut self, answer: Answer) {
        let Answer {
            container,
            attempt,
            purpose,
            failure,
            change,
        } = answer;
        let Some(observation) = self.observed.containers.get_mut(&container) else {
            return;
        };
        let current = observation.state.as_ref().map(|state| state.attempt) == Some(attempt);
        if !current || !observation.is_running() {
            return;
        }
        match (purpose, change) {
            (Purpose::Readiness, Some(change)) => observation.ready = change == Change::Passes,
            (Purpose::Startup, Some(Change::Passes)) => observation.started = true,
            (Purpose::Startup | Purpose::Liveness, Some(Change::Fails)) => {
                let which = purpose.title().to_lowercase();
                observation.unhealthy = Some(format!(
                    "Container {container} failed {which} probe, will be restarted"
                ));
            }
            _ => {}
        }
        if purpose == Purpose::Startup && change == Some(Change::Passes) {
            self.end_probes(&container);
            self.start_probes(&container);
        }
        if let Some(failure) = failure {
            let message = format!("{} probe failed: {failure}", purpose.title());
            self.note(Some(&container), (Kind::Warning, "Unhealthy"), message);
        }
    }
}
