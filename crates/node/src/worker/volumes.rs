//! A pod's volumes: made before anything starts, brought up to date when an object of theirs changes.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::select_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Volume;
use tokio::sync::watch;

use super::Worker;
use crate::events::Kind as EventKind;
use crate::objects::{Data, Followed, Kind, Seen};
use crate::pod::backoff::later;
use crate::pod::observed::{Hindrance, Volumes};
use crate::volume::token::Token;
use crate::volume::{self, Content, Files, Source, VolumeError, Wanted};

/// After a failure; an object that appears is noticed at once.
const RETRY: Duration = Duration::from_secs(2);

/// What a worker keeps for its pod's volumes.
#[derive(Default)]
pub(super) struct VolumeKeeper {
    followed: Vec<Arc<Followed>>,
    changes: Vec<watch::Receiver<Seen>>,
    tokens: BTreeMap<Wanted, Token>,
}

impl VolumeKeeper {
    /// Waits for a change of an object that a volume shows.
    pub(super) fn changed(&mut self) -> impl Future<Output = ()> + Send + '_ {
        let waiting = self.changes.iter_mut().map(|one| one.changed().boxed());
        let waiting: Vec<_> = waiting.collect();
        async move {
            if waiting.is_empty() {
                return std::future::pending().await;
            }
            let _ = select_all(waiting).await;
        }
    }

    fn objects(&self, kind: Kind) -> Result<BTreeMap<String, Arc<Data>>, VolumeError> {
        let mut all = BTreeMap::new();
        for followed in self.followed.iter().filter(|one| one.kind == kind) {
            match followed.seen() {
                Seen::Present(data) => drop(all.insert(followed.name.clone(), data)),
                Seen::Absent => {}
                Seen::NotYet => return Err(VolumeError::NotYet(followed.name.clone())),
            }
        }
        Ok(all)
    }
}

impl Worker {
    /// Makes the volumes, or brings them up to date.
    pub(super) async fn make_volumes(&mut self) {
        let before = std::mem::take(&mut self.observed.volumes);
        let mut problems = Vec::new();
        for volume in volume::all(&self.pod).to_vec() {
            if let Err(error) = self.make_volume(&volume).await {
                problems.push((volume.name.clone(), error));
            }
        }
        self.observed.volumes = if problems.is_empty() {
            Volumes {
                ready: true,
                fresh: true,
                due: self
                    .volumes
                    .tokens
                    .values()
                    .map(|token| token.renew_at)
                    .min(),
                failure: None,
            }
        } else {
            self.note_failed_mounts(&problems, &before)
        };
    }

    fn note_failed_mounts(&self, problems: &[(String, VolumeError)], before: &Volumes) -> Volumes {
        let news: Vec<String> = problems
            .iter()
            .filter(|(_, error)| !matches!(error, VolumeError::NotYet(_)))
            .map(|(name, error)| {
                format!("MountVolume.SetUp failed for volume \"{name}\" : {error}")
            })
            .collect();
        let message = news.join("\n");
        let known = before
            .failure
            .as_ref()
            .map(|failure| failure.message.as_str());
        if known != Some(message.as_str()) {
            for text in news {
                self.note(None, (EventKind::Warning, "FailedMount"), text);
            }
        }
        Volumes {
            fresh: false,
            failure: Some(Hindrance {
                reason: "FailedMount".to_owned(),
                message,
                retry_at: later(Timestamp::now(), RETRY),
            }),
            ..before.clone()
        }
    }

    /// An object or the pod itself has changed: volumes are to be looked at again, at once.
    pub(super) fn on_volumes_changed(&mut self) {
        self.observed.volumes.fresh = false;
        if let Some(failure) = &mut self.observed.volumes.failure {
            failure.retry_at = Timestamp::now();
        }
    }

    async fn make_volume(&mut self, volume: &Volume) -> Result<(), VolumeError> {
        let config = &self.context.config;
        let group = volume::group(&self.pod);
        match volume::kind(volume)? {
            // Made with the supervisor, whose mount namespace it is in.
            volume::Kind::EmptyDir(folder) if folder.in_memory => Ok(()),
            volume::Kind::EmptyDir(_) => {
                let path = config.volume_folder(&self.uid, &volume.name);
                volume::empty_dir::make(&path, group)
            }
            volume::Kind::HostPath(host_path) => host_path.prepare(config.host_paths),
            volume::Kind::Files(files) => self.write_files(&volume.name, &files, group).await,
        }
    }

    async fn write_files(
        &mut self,
        name: &str,
        files: &Files<'_>,
        group: Option<u32>,
    ) -> Result<(), VolumeError> {
        self.follow_sources(files);
        self.fetch_tokens(files).await?;
        let tokens = self.volumes.tokens.iter();
        let files = files.content(&Content {
            pod: &self.pod,
            around: &self.surroundings(),
            config_maps: &self.volumes.objects(Kind::ConfigMap)?,
            secrets: &self.volumes.objects(Kind::Secret)?,
            tokens: &tokens
                .map(|(wanted, token)| (wanted.clone(), token.text.clone()))
                .collect(),
        })?;
        let path = self.context.config.volume_of_files(&self.uid, name);
        volume::atomic::write(&path, &files, group, Timestamp::now())
            .map(drop)
            .map_err(VolumeError::file("write", path))
    }

    fn follow_sources(&mut self, files: &Files<'_>) {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        for source in &files.sources {
            let (kind, name) = match source {
                Source::Keys(reference) => (reference.kind, reference.name),
                Source::DownwardApi(_) | Source::Token(_) => continue,
            };
            let known = &self.volumes.followed;
            if known.iter().any(|one| one.kind == kind && one.name == name) {
                continue;
            }
            let client = &self.context.config.client;
            let followed = self.context.objects.follow(client, (kind, namespace, name));
            self.volumes.changes.push(followed.changes());
            self.volumes.followed.push(followed);
        }
    }

    async fn fetch_tokens(&mut self, files: &Files<'_>) -> Result<(), VolumeError> {
        for source in &files.sources {
            let Source::Token(wanted) = source else {
                continue;
            };
            let now = Timestamp::now();
            let known = self.volumes.tokens.get(wanted);
            if known.is_some_and(|token| token.renew_at > now) {
                continue;
            }
            let client = &self.context.config.client;
            let token = wanted.fetch(client, &self.pod, now).await?;
            self.volumes.tokens.insert(wanted.clone(), token);
        }
        Ok(())
    }
}
