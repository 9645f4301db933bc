//! Which Services a pod's change touches: shared by the controllers of Endpoints and EndpointSlices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};

use crate::caches::Caches;
use crate::key::Key;
use crate::pods::{condition, is_ready};
use crate::queue::Queue;
use crate::selector::{Labels, contains};

/// A Service's selector; `None` where somebody else writes its endpoints.
pub(crate) fn selector(service: &Service) -> Option<&Labels> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    let selector = spec
        .selector
        .as_ref()
        .filter(|selector| !selector.is_empty());
    selector.filter(|_| !external)
}

/// Whether the Service has a cluster IP.
pub(crate) fn has_cluster_ip(service: &Service) -> bool {
    let ip = service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.as_deref());
    !matches!(ip, None | Some("" | "None"))
}

/// Whether unready pods count as ready.
pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

/// The pods that a Service selects.
pub(crate) fn selected_pods(caches: &Caches, service: &Service) -> Vec<Arc<Pod>> {
    let Some(selector) = selector(service) else {
        return Vec::new();
    };
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let mut pods = caches.pods().in_namespace(namespace);
    pods.retain(|pod| contains(pod.metadata.labels.as_ref(), selector));
    pods
}

/// Queues Services that change, and those whose pods change in what endpoints show.
pub(crate) fn listen(caches: &Arc<Caches>, queue: &Queue<Key>) {
    let to = queue.clone();
    caches.services().listen(move |old, new| {
        if let Some(service) = new.or(old) {
            to.add(Key::of(service));
        }
    });
    let (to, weak) = (queue.clone(), Arc::downgrade(caches));
    caches.pods().listen(move |old, new| {
        if let Some(caches) = weak.upgrade()
            && matters(old, new)
        {
            let pods: Vec<_> = [old, new].into_iter().flatten().collect();
            touched(&caches, &pods)
                .into_iter()
                .for_each(|key| to.add(key));
        }
    });
}

fn touched(caches: &Caches, pods: &[&Pod]) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    let namespace = pods
        .first()
        .and_then(|pod| pod.metadata.namespace.as_deref());
    for service in caches
        .services()
        .in_namespace(namespace.unwrap_or_default())
    {
        let Some(selector) = selector(&service) else {
            continue;
        };
        if pods
            .iter()
            .any(|pod| contains(pod.metadata.labels.as_ref(), selector))
        {
            keys.insert(Key::of(&*service));
        }
    }
    keys
}

/// The rule of `endpointslice/util/controller_utils.go`: a phase alone, for one, is no reason.
fn matters(old: Option<&Pod>, new: Option<&Pod>) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return true;
    };
    let terminating = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    old.metadata.labels != new.metadata.labels
        || names(old) != names(new)
        || terminating(old)
        || terminating(new)
        || is_ready(old) != is_ready(new)
        || addresses(old) != addresses(new)
}

fn names(pod: &Pod) -> (Option<&str>, Option<&str>) {
    let spec = pod.spec.as_ref();
    let hostname = spec.and_then(|spec| spec.hostname.as_deref());
    (hostname, spec.and_then(|spec| spec.subdomain.as_deref()))
}

/// The addresses that a pod reported.
pub(crate) fn addresses(pod: &Pod) -> Vec<&str> {
    let reported = pod
        .status
        .iter()
        .flat_map(|status| status.pod_ips.iter().flatten());
    reported.map(|reported| reported.ip.as_str()).collect()
}

/// The pod's host name, if it is one of this (headless) Service's.
pub(crate) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let (hostname, subdomain) = names(pod);
    let here = subdomain == service.metadata.name.as_deref();
    let hostname = hostname.filter(|hostname| here && !hostname.is_empty());
    hostname.map(ToOwned::to_owned)
}

/// Remembers which changes were seen, so that the annotation on what is written tells the oldest new one.
///
/// The only memory a controller has here, and only latency measurements hang on it
/// (`endpoints.kubernetes.io/last-change-trigger-time`).
#[derive(Default)]
pub(crate) struct Triggers {
    seen: Mutex<BTreeMap<Key, Seen>>,
}

#[derive(Default)]
struct Seen {
    service: Option<Timestamp>,
    pods: BTreeMap<String, Timestamp>,
}

impl Triggers {
    /// The oldest change since the last call, as the annotation's text.
    pub(crate) fn newest(&self, service: &Service, pods: &[Arc<Pod>]) -> Option<String> {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.entry(Key::of(service)).or_default();
        let ready_changed = |pod: &Pod| {
            let ready = condition(pod, "Ready")?;
            let name = pod.metadata.name.clone()?;
            Some((name, ready.last_transition_time.as_ref()?.0))
        };
        let now_pods: BTreeMap<_, _> = pods.iter().filter_map(|pod| ready_changed(pod)).collect();
        let newer = now_pods
            .iter()
            .filter(|(name, at)| seen.pods.get(*name) < Some(*at));
        let made = service
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|made| made.0);
        let made_new = made.filter(|made| seen.service < Some(*made));
        let oldest = newer.map(|(_, at)| *at).chain(made_new).min();
        seen.pods = now_pods;
        seen.service = made;
        oldest.map(|at| at.to_string())
    }

    /// Forgets a Service.
    pub(crate) fn forget(&self, key: &Key) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}
