//! A cluster of one node for one test: the API server in this process, the agent as a task.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::Server;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod, Secret, Service};
use kernel::netlink::VethEnd;
use kernel::{Cgroup, NetNs, Netlink};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use node::{Config, RuntimeKind};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const ADDRESS: &str = "198.18.0.2";

/// On the loopback, where an address serves at once.
const ADDRESS_V6: &str = "fd46:6177::2";

pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    server: Server,
    client: Client,
    cgroup: Option<PathBuf>,
    runtime: RuntimeKind,
    agent: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Cluster {
    pub(crate) async fn start(runtime: RuntimeKind, ranges: &[&str]) -> Self {
        prepare_network().await;
        let directory = tempfile::tempdir().unwrap();
        let store = store::Embedded::open(directory.path().join("store.redb")).unwrap();
        let config = apiserver::Config::new(directory.path().join("server"));
        let server = Server::start(config, Arc::new(store), Vec::new())
            .await
            .unwrap();
        let client = Client::new(server.service(), "default");
        let id = std::process::id();
        let mount = kernel::cgroup::unified_mount().ok();
        let mut cluster = Self {
            directory,
            server,
            client,
            cgroup: mount.map(|mount| mount.join(format!("fairway-node-test-{id}"))),
            runtime,
            agent: None,
        };
        cluster.start_agent();
        cluster.give_ranges(ranges).await;
        cluster
    }

    pub(crate) fn start_agent(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let config = self.config();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            node::run(config, stopped).await.unwrap();
        });
        self.agent = Some((stop, task));
    }

    pub(crate) async fn stop_agent(&mut self) {
        let (stop, task) = self.agent.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
    }

    fn config(&self) -> Config {
        let ca = fs::read(self.directory.path().join("server/pki/ca.crt")).ok();
        Config {
            node_name: "node-1".into(),
            client: self.client.clone(),
            client_ca: ca,
            data_directory: self.directory.path().join("node"),
            images_directory: self.directory.path().join("images"),
            run_directory: self.run_directory(),
            cgroup: self.cgroup.clone(),
            addresses: [ADDRESS, ADDRESS_V6]
                .map(|address| address.parse::<IpAddr>().unwrap())
                .to_vec(),
            link: "eth0".into(),
            lease_renew: Duration::from_secs(1),
            lease_duration: Duration::from_secs(4),
            log_port: node::KUBELET_PORT,
            runtime: self.runtime,
            supervisor: Config::own_supervisor(),
            host_paths: false,
            labels: Vec::new(),
            ready: node::Ready::default(),
        }
    }

    pub(crate) fn run_directory(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// What the controllers do for a new Node.
    async fn give_ranges(&self, ranges: &[&str]) {
        let api: Api<Node> = Api::all(self.client.clone());
        let deadline = Instant::now() + Duration::from_secs(10);
        while api.get_opt("node-1").await.unwrap().is_none() {
            assert!(Instant::now() < deadline, "the node does not register");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let patch = json!({"spec": {"podCIDR": ranges[0], "podCIDRs": ranges}});
        api.patch("node-1", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        loop {
            let node = api.get("node-1").await.unwrap();
            let conditions = node.status.unwrap().conditions.unwrap();
            if conditions
                .iter()
                .any(|one| one.type_ == "Ready" && one.status == "True")
            {
                return;
            }
            assert!(Instant::now() < deadline, "the node does not become ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) async fn create(&self, pod: serde_json::Value) {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        self.pods()
            .create(&PostParams::default(), &pod)
            .await
            .unwrap();
    }

    /// Loads an archive into the store of the cluster's node.
    pub(crate) fn load(&self, archive: &[u8]) {
        let path = self.directory.path().join("archive.tar");
        fs::write(&path, archive).unwrap();
        node::image::load(&self.directory.path().join("images"), &path).unwrap();
    }

    pub(crate) async fn create_secret(&self, name: &str, data: serde_json::Value) {
        let object = json!({"metadata": {"name": name}, "stringData": data});
        let object: Secret = serde_json::from_value(object).unwrap();
        let api: Api<Secret> = Api::default_namespaced(self.client.clone());
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    pub(crate) async fn change_config_map(&self, name: &str, data: serde_json::Value) {
        let api: Api<ConfigMap> = Api::default_namespaced(self.client.clone());
        let patch = Patch::Merge(json!({"data": data}));
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn label(&self, pod: &str, labels: serde_json::Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let parameters = PatchParams::default();
        self.pods().patch(pod, &parameters, &patch).await.unwrap();
    }

    /// A container's whole log.
    pub(crate) async fn log(&self, pod: &str) -> String {
        self.logs(pod, &LogParams::default()).await.unwrap()
    }

    /// Waits for a line in a pod's log.
    pub(crate) async fn wait_for_line(&self, pod: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let log = self.log(pod).await;
            if log.lines().any(|line| line == wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "no line {wanted:?} in {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As [`Self::wait_for_line`], for a pod that may not have begun.
    pub(crate) async fn wait_for_line_when_ready(&self, pod: &str, wanted: &str) {
        self.wait_for(pod, crate::is_ready).await;
        self.wait_for_line(pod, wanted).await;
    }

    pub(crate) fn data_directory(&self) -> PathBuf {
        self.directory.path().join("node")
    }

    /// The pod's group in every hierarchy that has one.
    pub(crate) fn groups(&self, uid: &str) -> Vec<PathBuf> {
        let name = self.cgroup.as_ref().unwrap().file_name().unwrap();
        let mounts = kernel::cgroup::all_mounts().into_iter();
        let groups = mounts.map(|mount| mount.join(name).join("pods").join(uid));
        groups.filter(|group| group.exists()).collect()
    }

    pub(crate) async fn create_config_map(&self, name: &str, data: serde_json::Value) {
        let object = json!({"metadata": {"name": name}, "data": data});
        let object: ConfigMap = serde_json::from_value(object).unwrap();
        let api: Api<ConfigMap> = Api::default_namespaced(self.client.clone());
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    pub(crate) async fn create_service(&self, name: &str, address: &str) {
        let object = json!({
            "metadata": {"name": name},
            "spec": {"clusterIP": address, "ports": [{"port": 5432}]},
        });
        let object: Service = serde_json::from_value(object).unwrap();
        let api: Api<Service> = Api::default_namespaced(self.client.clone());
        api.create(&PostParams::default(), &object).await.unwrap();
        // Seen by the agent before the pod that comes next.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    pub(crate) async fn get(&self, name: &str) -> Option<Pod> {
        self.pods().get_opt(name).await.unwrap()
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.pods()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub(crate) async fn wait_for(&self, name: &str, holds: impl Fn(&Pod) -> bool) -> Pod {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let pod = self.get(name).await.unwrap();
            if holds(&pod) {
                return pod;
            }
            if Instant::now() > deadline {
                panic!(
                    "{name} stays {}",
                    serde_json::to_string_pretty(&pod.status).unwrap()
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn wait_until_gone(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Some(pod) = self.get(name).await {
            assert!(
                Instant::now() < deadline,
                "{name} is still there: {:?}",
                pod.metadata
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn event_reasons(&self, pod: &str) -> Vec<String> {
        let events = self.events(pod).await.into_iter();
        events.map(|(reason, _)| reason).collect()
    }

    /// Reasons and messages.
    pub(crate) async fn events(&self, pod: &str) -> Vec<(String, String)> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let api: Api<Event> = Api::default_namespaced(self.client.clone());
        let events = api.list(&ListParams::default()).await.unwrap();
        let own = events.items.into_iter();
        own.filter(|event| event.involved_object.name.as_deref() == Some(pod))
            .filter_map(|event| Some((event.reason?, event.message.unwrap_or_default())))
            .collect()
    }

    pub(crate) async fn logs(&self, pod: &str, parameters: &LogParams) -> kube::Result<String> {
        self.pods().logs(pod, parameters).await
    }

    pub(crate) async fn links(&self) -> Vec<String> {
        let links = Netlink::here().unwrap().links().await.unwrap();
        links.into_iter().map(|link| link.name).collect()
    }

    pub(crate) async fn kill_supervisor(&self, pod: &str) {
        let uid = self.get(pod).await.unwrap().metadata.uid.unwrap();
        let config = self
            .run_directory()
            .join("pods")
            .join(uid)
            .join(pod::CONFIG_FILE);
        let pid = process_with_argument(config.to_str().unwrap()).unwrap();
        let process = kernel::Pidfd::open(pid).unwrap();
        process.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    /// What a pod costs: its supervisor's and its program's proportional share.
    pub(crate) fn print_memory(&self) {
        let Some(cgroup) = &self.cgroup else { return };
        for pod in fs::read_dir(cgroup.join("pods")).unwrap().flatten().take(3) {
            let pids = Cgroup::at(&pod.path()).processes();
            let shares: Vec<u64> = pids
                .iter()
                .filter_map(|pid| proportional_share(*pid))
                .collect();
            println!("  a pod's processes, PSS in kB: {shares:?}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some((_, task)) = self.agent.take() {
            task.abort();
        }
        let name = self.cgroup.as_ref().and_then(|group| group.file_name());
        let mounts = kernel::cgroup::all_mounts();
        let groups = name.iter().flat_map(|name| {
            let in_every = mounts.iter();
            in_every.map(move |mount| Cgroup::at(&mount.join(name)))
        });
        for group in groups.filter(Cgroup::exists) {
            group.kill().unwrap();
            group.remove().unwrap();
        }
        let _ = &self.server;
    }
}

/// The LAN link: both ends in this namespace are enough, for nobody is at the other end.
async fn prepare_network() {
    let netlink = Netlink::here().unwrap();
    let loopback = netlink.link("lo").await.unwrap();
    netlink.set_up(loopback.index, true).await.unwrap();
    for link in netlink.links().await.unwrap() {
        if link.name.starts_with("pod") {
            netlink.delete_link(&link.name).await.unwrap();
        }
    }
    if netlink.find_link("eth0").await.unwrap().is_none() {
        let (near, far) = (VethEnd::named("eth0"), VethEnd::named("peer0"));
        netlink
            .add_veth(&near, &far, &NetNs::current().unwrap())
            .await
            .unwrap();
        let link = netlink.link("eth0").await.unwrap();
        let address = format!("{ADDRESS}/24").parse().unwrap();
        netlink.set_address(link.index, address).await.unwrap();
        let address = format!("{ADDRESS_V6}/128").parse().unwrap();
        netlink.set_address(loopback.index, address).await.unwrap();
    }
}

fn process_with_argument(argument: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0)
                .any(|word| word == argument.as_bytes())
        })
}

fn proportional_share(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
