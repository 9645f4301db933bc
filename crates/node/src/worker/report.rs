//! A pod's status on its way to the API server, and the pod's last moment.
//!
//! One write is under way at a time; what changes meanwhile is in the next. A pod that is only being set up
//! waits a moment before its first report, because usually it is running by then.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kernel::Cgroup;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::Worker;
use super::sandbox::groups;
use crate::context::Context;
use crate::pod::status::status;

/// So long a pod that is being set up is not reported.
const SETTING_UP: Duration = Duration::from_millis(100);

/// After a write that failed for another reason than a conflict.
const RETRY: Duration = Duration::from_millis(500);

/// What is known about the reports of a pod.
#[derive(Debug, Default)]
pub(super) struct Report {
    writing: Option<JoinHandle<kube::Result<Pod>>>,
    /// What is being written.
    sent: Option<PodStatus>,
    /// What the API server has taken.
    written: Option<PodStatus>,
    /// Until then a pod that is being set up is not reported.
    set_up_by: Option<Instant>,
    /// When a write that failed is tried again.
    retry_at: Option<Instant>,
    /// When a postponed report is due.
    due: Option<Instant>,
}

impl Report {
    /// When a postponed report is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due.filter(|_| self.writing.is_none())
    }

    /// Waits for the end of the write that is under way.
    pub(super) async fn finished(&mut self) -> kube::Result<Pod> {
        let Some(writing) = &mut self.writing else {
            return std::future::pending().await;
        };
        let result = writing.await;
        self.writing = None;
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

impl Worker {
    /// Starts to write the status if it has changed and no write is under way.
    pub(super) fn begin_report(&mut self) {
        self.report.due = None;
        let status = self.status();
        let known = self.report.written.as_ref().or(self.pod.status.as_ref());
        if self.report.writing.is_some() || known == Some(&status) || self.observed.gone {
            return;
        }
        let now = Instant::now();
        let set_up_by = *self.report.set_up_by.get_or_insert(now + SETTING_UP);
        let is_setting_up = status.phase.as_deref() == Some("Pending");
        let due = self.report.retry_at.or(is_setting_up.then_some(set_up_by));
        if let Some(due) = due.filter(|due| *due > now) {
            self.report.due = Some(due);
            return;
        }
        self.report.retry_at = None;
        self.report.sent = Some(status.clone());
        let mut pod = self.pod.clone();
        pod.status = Some(status);
        let api = self.api();
        self.report.writing = Some(tokio::spawn(write(api, pod)));
    }

    fn status(&self) -> PodStatus {
        let addresses = &self.context.config.addresses;
        status(&self.pod, &self.observed, addresses, Timestamp::now())
    }

    fn api(&self) -> Api<Pod> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        Api::namespaced(self.context.config.client.clone(), namespace)
    }

    fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// Takes the outcome of a write.
    pub(super) async fn on_reported(&mut self, result: kube::Result<Pod>) {
        match result {
            Ok(pod) => {
                self.report.written = self.report.sent.take();
                self.set_pod(pod);
            }
            Err(kube::Error::Api(answer)) if answer.code == 409 => self.refresh().await,
            Err(kube::Error::Api(answer)) if answer.code == 404 => self.observed.gone = true,
            Err(error) => {
                tracing::warn!(pod = self.uid, %error, "the pod's status was not written");
                self.report.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Reads the newest object after a conflict.
    async fn refresh(&mut self) {
        match self.api().get_opt(self.name()).await {
            Ok(Some(pod)) if pod.metadata.uid.as_deref() == Some(&self.uid) => self.set_pod(pod),
            Ok(_) => self.observed.gone = true,
            Err(error) => tracing::debug!(pod = self.uid, %error, "reading the pod again"),
        }
    }

    /// The pod's last moment: its last status, its object, its files.
    pub(super) async fn forget(&mut self) {
        if self.report.writing.is_some() {
            let result = self.report.finished().await;
            self.on_reported(result).await;
        }
        while !self.observed.gone {
            self.write_last_status().await;
            match self.delete().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(pod = self.uid, %error, "the pod was not removed from the API");
                    sleep(RETRY).await;
                }
            }
        }
        remove_files(&self.context, &self.uid).await;
    }

    async fn write_last_status(&mut self) {
        // Twice, for somebody may change the object in between.
        for _ in 0..2 {
            let status = self.status();
            if self.report.written.as_ref() == Some(&status) {
                return;
            }
            let mut pod = self.pod.clone();
            pod.status = Some(status.clone());
            self.report.sent = Some(status);
            let result = write(self.api(), pod).await;
            self.on_reported(result).await;
            if self.observed.gone {
                return;
            }
        }
    }

    async fn delete(&self) -> kube::Result<()> {
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(self.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.api().delete(self.name(), &parameters).await {
            Ok(_) => Ok(()),
            // Gone, or another pod of the same name by now.
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Removes a pod's files and its cgroups.
pub(crate) async fn remove_files(context: &Context, uid: &str) {
    let groups = groups(context, uid);
    // The kernel lets go of a group some milliseconds after its last process.
    let removed =
        tokio::task::spawn_blocking(move || groups.iter().try_for_each(Cgroup::remove)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(pod = uid, %error, "the pod's cgroup is still there");
    }
    let config = &context.config;
    for directory in [
        config.pod_run_directory(uid),
        config.pod_data_directory(uid),
    ] {
        if let Err(error) = fs::remove_dir_all(&directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(pod = uid, %error, "the pod's files are still there");
        }
    }
}

async fn write(api: Api<Pod>, pod: Pod) -> kube::Result<Pod> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    api.replace_status(&name, &PostParams::default(), &pod)
        .await
}
