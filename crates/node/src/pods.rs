//! The pods of this node: one worker each, from the API's list or from what an earlier agent left.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, watch};

use crate::context::Context;
use crate::pod_network;
use crate::supervisor::Supervisor;
use crate::worker::{Update, Worker, end_supervisor, kill_group, read_attachment, remove_files};

/// Ended workers that wait to be forgotten.
const ENDED_QUEUE: usize = 64;

/// All workers of the node, by their pods' uid.
pub(crate) struct Pods {
    context: Arc<Context>,
    workers: HashMap<String, watch::Sender<Update>>,
    ended: mpsc::Receiver<String>,
    ended_sender: mpsc::Sender<String>,
}

impl Pods {
    /// No pods yet, but the addresses of those that an earlier agent left are taken.
    pub(crate) fn new(context: Arc<Context>) -> Self {
        for uid in left_behind(&context) {
            let directory = context.config.pod_run_directory(&uid);
            if let Some(attachment) = read_attachment(&directory) {
                context.addresses().reserve(&attachment.addresses);
            }
        }
        let (ended_sender, ended) = mpsc::channel(ENDED_QUEUE);
        Self {
            context,
            workers: HashMap::new(),
            ended,
            ended_sender,
        }
    }

    /// Follows the node's pods for ever.
    pub(crate) async fn follow(mut self) {
        let config = &self.context.config;
        let api: Api<Pod> = Api::all(config.client.clone());
        let own = format!("spec.nodeName={}", config.node_name);
        let stream = watcher(api, watcher::Config::default().fields(&own)).default_backoff();
        pin_mut!(stream);
        let mut listed = HashSet::new();
        loop {
            tokio::select! {
                Some(uid) = self.ended.recv() => {
                    self.workers.remove(&uid);
                    self.context.forget_name(&uid);
                }
                event = stream.next() => match event {
                    Some(Ok(event)) => self.take(event, &mut listed).await,
                    Some(Err(error)) => tracing::debug!(%error, "watching pods"),
                    None => return,
                },
            }
        }
    }

    async fn take(&mut self, event: watcher::Event<Pod>, listed: &mut HashSet<String>) {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(pod) => {
                listed.extend(pod.metadata.uid.clone());
                self.set(pod);
            }
            watcher::Event::InitDone => self.settle(listed).await,
            watcher::Event::Apply(pod) => self.set(pod),
            watcher::Event::Delete(pod) => self.gone(pod.metadata.uid.as_deref()),
        }
    }

    fn set(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else {
            return;
        };
        let update = Update {
            pod: Arc::new(pod),
            gone: false,
        };
        if let Some(worker) = self.workers.get(&uid) {
            worker.send_replace(update);
            return;
        }
        self.context.learn_name(&update.pod);
        let (sender, receiver) = watch::channel(update);
        let worker = Worker::new(self.context.clone(), receiver);
        let ended = self.ended_sender.clone();
        self.workers.insert(uid.clone(), sender);
        tokio::spawn(async move {
            worker.run().await;
            let _ = ended.send(uid).await;
        });
    }

    fn gone(&mut self, uid: Option<&str>) {
        if let Some(worker) = uid.and_then(|uid| self.workers.get(uid)) {
            worker.send_modify(|update| update.gone = true);
        }
    }

    /// After a list: workers whose pods are not in it end, and what no worker has is swept away.
    async fn settle(&mut self, listed: &HashSet<String>) {
        for (uid, worker) in &self.workers {
            if !listed.contains(uid) {
                worker.send_modify(|update| update.gone = true);
            }
        }
        for uid in left_behind(&self.context) {
            if !self.workers.contains_key(&uid) {
                sweep(&self.context, &uid).await;
            }
        }
    }
}

/// The pods that have a directory here.
fn left_behind(context: &Context) -> Vec<String> {
    let roots = [
        &context.config.run_directory,
        &context.config.data_directory,
    ];
    let found: HashSet<String> = roots
        .iter()
        .flat_map(|root| {
            fs::read_dir(root.join("pods"))
                .into_iter()
                .flatten()
                .flatten()
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    found.into_iter().collect()
}

/// Ends and removes a pod that the API does not know.
async fn sweep(context: &Context, uid: &str) {
    let config = &context.config;
    let directory = config.pod_run_directory(uid);
    if let Ok((supervisor, _states)) = Supervisor::connect(&directory, uid).await {
        end_supervisor(&supervisor).await;
    }
    kill_group(context, uid).await;
    if let Some(attachment) = read_attachment(&directory) {
        if let Err(error) = pod_network::detach(&context.netlink, &attachment).await {
            tracing::warn!(pod = uid, %error, "the link of a removed pod is still there");
        }
        context.addresses().release(&attachment.addresses);
    }
    remove_files(context, uid).await;
}
