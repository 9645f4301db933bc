//! What has to change for a Deployment's ReplicaSets to follow its template and size.
//!
//! Upstream (`pkg/controller/deployment`) does one write after the other and looks at the results in between. Here a
//! draft of the Deployment and its ReplicaSets is changed by the same rules, and what differs in the end is the plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::deployment::size::{actual, max_surge, of, rolls, wanted};
use crate::deployment::status::{self, PROGRESSING, TIMED_OUT};
use crate::deployment::template::{self, HASH_LABEL};
use crate::deployment::{annotations, rolling};
use crate::owner::{controller_of, controller_reference};
use crate::pods::is_terminal;
use crate::recorder::Note;

/// What a plan is drawn up from.
pub(super) struct World<'a> {
    pub(super) deployment: &'a Deployment,
    /// The ReplicaSets that are its own.
    pub(super) sets: Vec<ReplicaSet>,
    /// Their pods.
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) now: Timestamp,
}

/// The changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Option<(ReplicaSet, Option<Note>)>,
    pub(super) update: Vec<(ReplicaSet, Vec<Note>)>,
    pub(super) delete: Vec<ReplicaSet>,
    /// The Deployment with a new status or revision, if it has one.
    pub(super) deployment: Option<Deployment>,
    /// When time alone may change something.
    pub(super) again: Option<Duration>,
}

/// Draws up the plan.
pub(super) fn plan(world: World<'_>) -> Plan {
    let mut draft = Draft::new(world);
    draft.decide();
    draft.finish()
}

/// The Deployment and its ReplicaSets as they are to be.
pub(super) struct Draft<'a> {
    original: &'a Deployment,
    pub(super) deployment: Deployment,
    pub(super) sets: Vec<Drafted>,
    /// The ReplicaSet of the current template.
    pub(super) new: Option<usize>,
    pods: Vec<Arc<Pod>>,
    delete: Vec<usize>,
    now: Timestamp,
}

/// A ReplicaSet in the draft.
pub(super) struct Drafted {
    pub(super) set: ReplicaSet,
    state: State,
    notes: Vec<Note>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Kept,
    Changed,
    Created,
}

impl<'a> Draft<'a> {
    fn new(world: World<'a>) -> Self {
        let mut sets = world.sets;
        sets.sort_by(|a, b| age(a).cmp(&age(b)));
        let template = world.deployment.spec.as_ref().map(|spec| &spec.template);
        // The oldest of several with the same template, so that all lookers agree.
        let new = sets.iter().position(|set| {
            let of_set = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
            matches!((template, of_set), (Some(a), Some(b)) if template::equal(a, b))
        });
        let drafted = |set| Drafted {
            set,
            state: State::Kept,
            notes: Vec::new(),
        };
        Self {
            original: world.deployment,
            deployment: world.deployment.clone(),
            sets: sets.into_iter().map(drafted).collect(),
            new,
            pods: world.pods,
            delete: Vec::new(),
            now: world.now,
        }
    }

    fn decide(&mut self) {
        if self.deployment.metadata.deletion_timestamp.is_some() {
            self.sync_revision();
            return self.count();
        }
        self.say_whether_paused();
        let paused = self.deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
        self.sync_revision();
        if paused || self.is_scaled() {
            rolling::scale(self);
            if paused {
                self.clean_up();
            }
            return self.count();
        }
        if rolls(&self.deployment) {
            self.roll();
        } else {
            self.recreate();
        }
        let status = status::of_rollout(&self.deployment, &self.all(), self.new_set(), self.now);
        self.deployment.status = Some(status);
    }

    fn roll(&mut self) {
        self.make_new();
        if !rolling::scale_new(self) && !rolling::scale_old(self) {
            self.clean_up_if_complete();
        }
    }

    fn recreate(&mut self) {
        let running: Vec<_> = self.old().filter(|index| self.size(*index) > 0).collect();
        for index in &running {
            self.resize(*index, 0);
        }
        if !running.is_empty() || self.old_pods_run() {
            return;
        }
        self.make_new();
        if let Some(new) = self.new {
            self.resize(new, wanted(&self.deployment));
        }
        self.clean_up_if_complete();
    }

    fn old_pods_run(&self) -> bool {
        let new = self.new_set().and_then(|set| set.metadata.uid.clone());
        let of_old =
            |pod: &Pod| controller_of(&pod.metadata).map(|owner| &owner.uid) != new.as_ref();
        self.old().any(|index| actual(&self.sets[index].set) > 0)
            || self.pods.iter().any(|pod| of_old(pod) && !is_terminal(pod))
    }

    /// Paused and resumed are said once, and never over a missed deadline.
    fn say_whether_paused(&mut self) {
        if status::deadline(&self.deployment).is_none() {
            return;
        }
        let paused = self.deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
        let mut status = self.deployment.status.clone().unwrap_or_default();
        let said =
            status::find(&status, PROGRESSING).and_then(|condition| condition.reason.as_deref());
        let says = match (paused, said) {
            (_, Some(TIMED_OUT)) => return,
            (true, said) if said != Some("DeploymentPaused") => {
                ("DeploymentPaused", "Deployment is paused")
            }
            (false, Some("DeploymentPaused")) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return,
        };
        let condition =
            status::condition(PROGRESSING, "Unknown", says.0, says.1.to_owned(), self.now);
        status::set(&mut status, condition);
        self.deployment.status = Some(status);
    }

    /// Gives the ReplicaSet of the current template the newest revision, and the Deployment the same.
    fn sync_revision(&mut self) {
        let Some(new) = self.new else {
            return;
        };
        let revision = self.next_revision();
        let (deployment, set) = (&self.deployment, &mut self.sets[new].set);
        let copied = annotations::copy(deployment, set);
        let raised = annotations::raise(set, revision);
        let min_ready = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.min_ready_seconds);
        let spec = set.spec.get_or_insert_default();
        let waits = spec.min_ready_seconds != min_ready;
        spec.min_ready_seconds = min_ready;
        let revision = annotations::revision(&set.metadata);
        if copied || raised || waits {
            self.touch(new);
        }
        annotations::set(
            &mut self.deployment.metadata,
            annotations::REVISION,
            revision.to_string(),
        );
        self.say_at_first("FoundNewReplicaSet", "Found new replica set");
    }

    fn next_revision(&self) -> i64 {
        let old = self
            .old()
            .map(|index| annotations::revision(&self.sets[index].set.metadata));
        old.max().unwrap_or(0) + 1
    }

    /// Progress begins with the ReplicaSet; later words about it come from the counters.
    fn say_at_first(&mut self, reason: &str, text: &str) {
        let mut status = self.deployment.status.clone().unwrap_or_default();
        let said_before =
            reason == "FoundNewReplicaSet" && status::find(&status, PROGRESSING).is_some();
        if status::deadline(&self.deployment).is_none() || said_before {
            return;
        }
        let name = self
            .new_set()
            .and_then(|set| set.metadata.name.clone())
            .unwrap_or_default();
        let message = format!("{text} {name:?}");
        status::set(
            &mut status,
            status::condition(PROGRESSING, "True", reason, message, self.now),
        );
        self.deployment.status = Some(status);
    }

    /// Makes the ReplicaSet of the current template if there is none.
    fn make_new(&mut self) {
        if self.new.is_some() {
            return;
        }
        let mut set = new_set(&self.deployment);
        annotations::copy(&self.deployment, &mut set);
        let revision = self.next_revision();
        annotations::raise(&mut set, revision);
        let index = self.sets.len();
        self.sets.push(Drafted {
            set,
            state: State::Created,
            notes: Vec::new(),
        });
        let size = rolling::size_of_new(self, index);
        let (desired, maximum) = self.sizes();
        let drafted = &mut self.sets[index];
        drafted.set.spec.get_or_insert_default().replicas = Some(size);
        annotations::set_sizes(&mut drafted.set, desired, maximum);
        if size > 0 {
            drafted.notes.push(scaled(&drafted.set, 0, size));
        }
        self.new = Some(index);
        annotations::set(
            &mut self.deployment.metadata,
            annotations::REVISION,
            revision.to_string(),
        );
        self.say_at_first("NewReplicaSetCreated", "Created new replica set");
    }

    /// Whether the size asked for is not the one that the ReplicaSets were last scaled for.
    fn is_scaled(&self) -> bool {
        let wanted = i64::from(wanted(&self.deployment));
        let active = self.sets.iter().filter(|drafted| of(&drafted.set) > 0);
        let mut desired = active
            .filter_map(|drafted| annotations::number(&drafted.set.metadata, annotations::DESIRED));
        desired.any(|desired| desired != wanted)
    }

    /// Gives a ReplicaSet a size, and says so if it is another one.
    pub(super) fn resize(&mut self, index: usize, size: i32) -> bool {
        let (desired, maximum) = self.sizes();
        let drafted = &mut self.sets[index];
        let before = of(&drafted.set);
        let noted = annotations::set_sizes(&mut drafted.set, desired, maximum);
        if before != size {
            drafted.set.spec.get_or_insert_default().replicas = Some(size);
            drafted.notes.push(scaled(&drafted.set, before, size));
        }
        if before != size || noted {
            self.touch(index);
        }
        before != size
    }

    fn sizes(&self) -> (i32, i32) {
        let desired = wanted(&self.deployment);
        (desired, desired + max_surge(&self.deployment))
    }

    fn touch(&mut self, index: usize) {
        let state = &mut self.sets[index].state;
        if *state == State::Kept {
            *state = State::Changed;
        }
    }

    fn clean_up_if_complete(&mut self) {
        let old = self.original.status.clone().unwrap_or_default();
        if status::complete(&self.deployment, &old) {
            self.clean_up();
        }
    }

    /// Deletes the oldest empty ReplicaSets beyond the history limit.
    fn clean_up(&mut self) {
        let limit = self
            .deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.revision_history_limit);
        let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else {
            return;
        };
        let mut old: Vec<_> = self
            .old()
            .filter(|index| self.sets[*index].set.metadata.deletion_timestamp.is_none())
            .collect();
        let surplus = old
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        old.sort_by_key(|index| annotations::revision(&self.sets[*index].set.metadata));
        old.truncate(surplus);
        self.delete = old
            .into_iter()
            .filter(|index| is_idle(&self.sets[*index].set))
            .collect();
    }

    fn count(&mut self) {
        let status = status::counted(&self.deployment, &self.all(), self.new_set(), self.now);
        self.deployment.status = Some(status);
    }

    fn all(&self) -> Vec<&ReplicaSet> {
        self.sets.iter().map(|drafted| &drafted.set).collect()
    }

    pub(super) fn new_set(&self) -> Option<&ReplicaSet> {
        self.new.map(|index| &self.sets[index].set)
    }

    /// The ReplicaSets of other templates, oldest first.
    pub(super) fn old(&self) -> impl Iterator<Item = usize> {
        let new = self.new;
        (0..self.sets.len()).filter(move |index| Some(*index) != new)
    }

    pub(super) fn size(&self, index: usize) -> i32 {
        of(&self.sets[index].set)
    }

    fn finish(self) -> Plan {
        let status = self.deployment.status.clone().unwrap_or_default();
        let mut plan = Plan {
            again: status::next_look(&self.deployment, &status, self.now),
            ..Plan::default()
        };
        if self.deployment != *self.original {
            plan.deployment = Some(self.deployment);
        }
        for (index, drafted) in self.sets.into_iter().enumerate() {
            match drafted.state {
                _ if self.delete.contains(&index) => plan.delete.push(drafted.set),
                State::Kept => {}
                State::Changed => plan.update.push((drafted.set, drafted.notes)),
                State::Created => {
                    plan.create = Some((drafted.set, drafted.notes.into_iter().next()));
                }
            }
        }
        plan
    }
}

fn age(set: &ReplicaSet) -> (Option<Timestamp>, Option<&str>) {
    let made = set.metadata.creation_timestamp.as_ref().map(|made| made.0);
    (made, set.metadata.name.as_deref())
}

fn is_idle(set: &ReplicaSet) -> bool {
    let observed = set
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    actual(set) == 0 && of(set) == 0 && set.metadata.generation <= observed
}

fn scaled(set: &ReplicaSet, from: i32, to: i32) -> Note {
    let way = if to > from { "up" } else { "down" };
    let name = set.metadata.name.as_deref().unwrap_or_default();
    Note::normal(
        "ScalingReplicaSet",
        format!("Scaled {way} replica set {name} from {from} to {to}"),
    )
}

/// The ReplicaSet of a Deployment's current template, still without a size.
fn new_set(deployment: &Deployment) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let collisions = deployment
        .status
        .as_ref()
        .and_then(|status| status.collision_count);
    let hash = template::hash(&spec.template, collisions.unwrap_or(0));
    let (mut template, mut selector) = (spec.template, spec.selector);
    let meta = template.metadata.get_or_insert_default();
    let labels = meta.labels.get_or_insert_with(BTreeMap::new);
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let wanted = selector.match_labels.get_or_insert_with(BTreeMap::new);
    wanted.insert(HASH_LABEL.to_owned(), hash.clone());
    let mut name = deployment.metadata.name.clone().unwrap_or_default();
    name.truncate(253 - 1 - hash.len());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{hash}")),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels.clone()),
            owner_references: Some(vec![controller_reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        }),
        status: None,
    }
}
