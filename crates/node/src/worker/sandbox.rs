//! The pod's namespaces and network: made, removed, lost.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kernel::{Cgroup, Pidfd};
use pod::Tmpfs;
use pod::protocol::{Phase, Verb};
use tokio::time::timeout;

use super::Worker;
use crate::config::RuntimeKind;
use crate::context::Context;
use crate::error::{Error, IoContext};
use crate::events::Kind;
use crate::pod::etc::Names;
use crate::pod::observed::{Hindrance, Sandbox};
use crate::pod::plan::retry_at;
use crate::pod::spec::refusals::is_safe_sysctl;
use crate::pod::status::is_on_host_network;
use crate::pod_network::{self, Attachment};
use crate::supervisor::{Supervisor, launch};
use crate::volume;

/// The record of a pod's place in the network, in its run directory.
pub(crate) const ATTACHMENT_FILE: &str = "attachment.json";

/// The size of a pod's `/dev/shm`, as container runtimes have it.
const SHARED_MEMORY: u64 = 64 * 1024 * 1024;

/// A supervisor that was told to end and has not by then is killed.
const END_WITHIN: Duration = Duration::from_secs(6);

/// The exit code of a container whose end nobody saw, as kubelet reports it.
const LOST_EXIT_CODE: i32 = 137;

impl Worker {
    /// Starts the supervisor and connects the pod to the network.
    pub(super) async fn make_sandbox(&mut self) {
        match self.try_make_sandbox().await {
            Ok(()) => self.observed.sandbox_failure = None,
            Err(error) => {
                let message = format!("Failed to create pod sandbox: {error}");
                self.note(None, (Kind::Warning, "FailedCreatePodSandBox"), &message);
                self.tear_down().await;
                self.observed.sandbox_failure = Some(Hindrance {
                    reason: "FailedCreatePodSandBox".to_owned(),
                    message,
                    retry_at: retry_at(Timestamp::now()),
                });
            }
        }
    }

    async fn try_make_sandbox(&mut self) -> Result<(), Error> {
        let since = Timestamp::now();
        let attachment = self.new_attachment(since)?;
        self.attachment = Some(attachment.clone());
        self.save(&attachment)?;
        let directory = self.run_directory();
        let pid = launch(&self.context.config.supervisor, &self.supervisor_config()).await?;
        let connected = Supervisor::connect(&directory, &self.uid);
        if attachment.link.is_empty() {
            self.hold(connected.await?);
        } else {
            let attached = pod_network::attach(&self.context.netlink, pid, &attachment);
            let (connected, attached) = tokio::join!(connected, attached);
            self.hold(connected?);
            attached?;
        }
        self.observed.sandbox = Some(Sandbox {
            since,
            addresses: attachment.addresses,
        });
        self.write_etc()
    }

    fn hold(&mut self, (supervisor, states): (Supervisor, crate::supervisor::States)) {
        self.supervisor = Some(Arc::new(supervisor));
        self.states = Some(states);
    }

    fn new_attachment(&self, since: Timestamp) -> Result<Attachment, Error> {
        if is_on_host_network(&self.pod) {
            return Ok(Attachment::of_host(since));
        }
        let mut pool = self.context.addresses();
        if !pool.has_ranges() {
            return Err(Error::Addresses(
                "the node has no pod range yet (does a controller give spec.podCIDR to Nodes?)",
            ));
        }
        let addresses = pool.allocate().ok_or(Error::Addresses(
            "all addresses of the node's pod range are in use",
        ))?;
        Ok(Attachment::new(&self.uid, addresses, since))
    }

    fn save(&self, attachment: &Attachment) -> Result<(), Error> {
        let directory = self.run_directory();
        fs::create_dir_all(&directory).context("create", &directory)?;
        let path = directory.join(ATTACHMENT_FILE);
        let text = serde_json::to_vec(attachment).expect("an attachment is plain data");
        fs::write(&path, text).context("write", &path)
    }

    fn supervisor_config(&self) -> pod::Config {
        let meta = &self.pod.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let config = &self.context.config;
        let in_containers = config.runtime == RuntimeKind::Containers;
        pod::Config {
            pod: format!("{namespace}/{name}"),
            uid: self.uid.clone(),
            run_directory: self.run_directory(),
            cgroup: config.pod_cgroup(&self.uid),
            hostname: self.names().hostname(&self.pod),
            host_network: is_on_host_network(&self.pod),
            host_ipc: self.uses_host_ipc(),
            share_process_namespace: in_containers && self.shares_processes(),
            private_mounts: in_containers,
            tmpfs: if in_containers {
                self.file_systems_in_memory()
            } else {
                Vec::new()
            },
            sysctls: self.sysctls(),
        }
    }

    /// What the pod is called inside.
    pub(super) fn names(&self) -> Names {
        Names::of(&self.pod, &self.context.config.node_name)
    }

    /// The pod's shared memory and its volumes in memory.
    fn file_systems_in_memory(&self) -> Vec<Tmpfs> {
        let config = &self.context.config;
        let mut all = Vec::new();
        if !self.uses_host_ipc() {
            all.push(Tmpfs {
                path: config.shared_memory(&self.uid),
                bytes: Some(SHARED_MEMORY),
                mode: 0o1777,
                group: None,
            });
        }
        let group = volume::group(&self.pod);
        for one in volume::all(&self.pod) {
            if let Ok(volume::Kind::EmptyDir(folder)) = volume::kind(one)
                && folder.in_memory
            {
                all.push(Tmpfs {
                    path: config.volume_in_memory(&self.uid, &one.name),
                    bytes: folder.bytes,
                    mode: volume::empty_dir::mode(group),
                    group,
                });
            }
        }
        all
    }

    /// The node's own settings for every pod, then the pod's. What reaches beyond the pod is refused with its
    /// containers.
    fn sysctls(&self) -> Vec<(String, String)> {
        if is_on_host_network(&self.pod) {
            return Vec::new();
        }
        let mut all = pod_network::sysctls();
        let context = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.security_context.as_ref());
        let own = context.and_then(|context| context.sysctls.as_deref());
        let safe = own
            .unwrap_or_default()
            .iter()
            .filter(|sysctl| is_safe_sysctl(&sysctl.name));
        all.extend(safe.map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())));
        all
    }

    pub(super) fn run_directory(&self) -> PathBuf {
        self.context.config.pod_run_directory(&self.uid)
    }

    /// Ends the supervisor, and with it the namespaces.
    pub(super) async fn remove_sandbox(&mut self) {
        self.probes.clear();
        self.states = None;
        if let Some(supervisor) = self.supervisor.take() {
            end(&supervisor).await;
        }
        self.tear_down().await;
        self.observed.sandbox = None;
    }

    /// The supervisor is gone and its containers with it.
    pub(super) async fn on_supervisor_lost(&mut self) {
        tracing::warn!(pod = self.uid, "the pod's supervisor has died");
        self.states = None;
        self.supervisor = None;
        self.probes.clear();
        let names: Vec<String> = self.observed.containers.keys().cloned().collect();
        for name in names {
            self.lose(&name);
        }
        if self.observed.sandbox.take().is_some() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            self.note(None, (Kind::Normal, "SandboxChanged"), message);
        }
        kill_group(&self.context, &self.uid).await;
        self.release_addresses();
    }

    /// Takes a running attempt as ended in a way that nobody saw.
    pub(super) fn lose(&mut self, name: &str) {
        let Some(observation) = self.observed.containers.get_mut(name) else {
            return;
        };
        let Some(started_at) = observation.running_since() else {
            return;
        };
        if let Some(state) = &mut observation.state {
            state.pid = None;
            state.phase = Phase::Exited {
                started_at,
                finished_at: Timestamp::now(),
                exit_code: LOST_EXIT_CODE,
                signal: None,
                out_of_memory: false,
            };
            observation.lost = Some(state.attempt);
        }
    }

    /// Takes away what a sandbox leaves behind, or a half-made one.
    pub(super) async fn tear_down(&mut self) {
        self.states = None;
        self.supervisor = None;
        kill_group(&self.context, &self.uid).await;
        if let Some(attachment) = &self.attachment
            && let Err(error) = pod_network::detach(&self.context.netlink, attachment).await
        {
            tracing::warn!(pod = self.uid, %error, "the pod's link is still there");
        }
        self.release_addresses();
    }

    fn release_addresses(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            self.context.addresses().release(&attachment.addresses);
        }
        let _ = fs::remove_file(self.run_directory().join(ATTACHMENT_FILE));
    }
}

/// Tells a supervisor to end and sees that it does.
pub(crate) async fn end(supervisor: &Supervisor) {
    let process = Pidfd::open(supervisor.pid);
    let asked = timeout(END_WITHIN, supervisor.ask(Verb::End)).await;
    let Ok(process) = process else { return };
    let ended = matches!(asked, Ok(Ok(_))) && timeout(END_WITHIN, process.ended()).await.is_ok();
    if !ended {
        let _ = process.signal(nix::sys::signal::Signal::SIGKILL);
    }
}

/// Kills whoever is left in a pod's cgroups; the groups themselves go when the pod is forgotten.
pub(crate) async fn kill_group(context: &Context, uid: &str) {
    let groups = groups(context, uid);
    let killed =
        tokio::task::spawn_blocking(move || groups.iter().try_for_each(Cgroup::kill)).await;
    if let Ok(Err(error)) = killed {
        tracing::warn!(pod = uid, %error, "processes of the pod are left");
    }
}

/// A pod's group in every hierarchy: beside version 2 the runtime makes one of the same path in each of version 1.
pub(super) fn groups(context: &Context, uid: &str) -> Vec<Cgroup> {
    let unified = context.machine.unified_cgroups.as_deref();
    let path = context.config.cgroup_path(uid, unified);
    kernel::cgroup::in_all_hierarchies(&path)
}
