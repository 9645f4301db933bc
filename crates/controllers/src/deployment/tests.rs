//! Roll-outs played through on paper: each step is a plan carried out on the test's own objects.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use serde_json::{Value, json};

use super::plan::{Plan, World, plan};
use super::size;

/// A Deployment and its ReplicaSets, as if on a server.
struct Stage {
    deployment: Deployment,
    sets: Vec<ReplicaSet>,
    events: Vec<String>,
    clock: i64,
}

impl Stage {
    fn new(spec: &Value) -> Self {
        let mut whole = json!({"metadata": {"name": "web", "namespace": "n", "uid": "d", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
                "template": {"metadata": {"labels": {"app": "web", "v": "1"}}, "spec": {"containers": []}}}});
        for (key, value) in spec.as_object().unwrap() {
            whole["spec"][key] = value.clone();
        }
        Self {
            deployment: serde_json::from_value(whole).unwrap(),
            sets: Vec::new(),
            events: Vec::new(),
            clock: 0,
        }
    }

    fn version(&mut self, version: &str) {
        self.deployment.metadata.generation = self.deployment.metadata.generation.map(|n| n + 1);
        let meta = self
            .deployment
            .spec
            .as_mut()
            .unwrap()
            .template
            .metadata
            .as_mut()
            .unwrap();
        meta.labels
            .as_mut()
            .unwrap()
            .insert("v".to_owned(), version.to_owned());
    }

    fn scale(&mut self, replicas: i32) {
        self.deployment.metadata.generation = self.deployment.metadata.generation.map(|n| n + 1);
        self.deployment.spec.as_mut().unwrap().replicas = Some(replicas);
    }

    /// Plans once and takes the changes over; says whether there were any.
    fn step(&mut self) -> bool {
        self.clock += 1;
        let now = jiff::Timestamp::from_second(self.clock).unwrap();
        let Plan {
            create,
            update,
            delete,
            deployment,
            ..
        } = plan(World {
            deployment: &self.deployment,
            sets: self.sets.clone(),
            pods: Vec::new(),
            now,
        });
        let changed =
            create.is_some() || !update.is_empty() || !delete.is_empty() || deployment.is_some();
        if let Some((mut set, note)) = create {
            set.metadata.uid.clone_from(&set.metadata.name);
            set.metadata.creation_timestamp = Some(crate::time::whole(now));
            self.events.extend(note.map(|note| note.message));
            self.sets.push(set);
        }
        for (set, notes) in update {
            self.events
                .extend(notes.into_iter().map(|note| note.message));
            let slot = self
                .sets
                .iter_mut()
                .find(|old| old.metadata.name == set.metadata.name);
            *slot.unwrap() = set;
        }
        self.sets.retain(|set| {
            !delete
                .iter()
                .any(|gone| gone.metadata.name == set.metadata.name)
        });
        if let Some(deployment) = deployment {
            self.deployment = deployment;
        }
        changed
    }

    fn settle(&mut self) {
        let steps = (0..50).take_while(|_| self.step()).count();
        assert!(steps < 50, "the plan never comes to rest");
    }

    /// The ReplicaSet controller has made all pods; this many of each set are ready.
    fn pods(&mut self, ready: &[i32]) {
        for (set, ready) in self.sets.iter_mut().zip(ready) {
            let replicas = size::of(set);
            let status = set.status.get_or_insert_default();
            status.replicas = replicas;
            status.ready_replicas = Some(*ready);
            status.available_replicas = Some(*ready);
            status.observed_generation = set.metadata.generation;
        }
        self.settle();
    }

    fn sizes(&self) -> Vec<i32> {
        self.sets.iter().map(size::of).collect()
    }

    fn says(&self, kind: &str) -> (String, String) {
        let conditions = self
            .deployment
            .status
            .as_ref()
            .unwrap()
            .conditions
            .as_ref()
            .unwrap();
        let found = conditions
            .iter()
            .find(|condition| condition.type_ == kind)
            .unwrap();
        (found.status.clone(), found.reason.clone().unwrap())
    }

    fn revisions(&self) -> Vec<&str> {
        let annotations = self
            .sets
            .iter()
            .map(|set| set.metadata.annotations.as_ref().unwrap());
        annotations
            .map(|all| all["deployment.kubernetes.io/revision"].as_str())
            .collect()
    }
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn a_rolling_update_of_four_goes_step_by_step() {
    let mut stage = Stage::new(&json!({"replicas": 4}));
    stage.settle();
    assert_eq!(stage.sizes(), [4]);
    assert_eq!(
        stage.says("Progressing"),
        pair("True", "NewReplicaSetCreated")
    );
    stage.pods(&[4]);
    assert_eq!(
        stage.says("Progressing"),
        pair("True", "NewReplicaSetAvailable")
    );
    assert_eq!(
        stage.says("Available"),
        pair("True", "MinimumReplicasAvailable")
    );
    stage.version("2");
    stage.settle();
    assert_eq!(stage.sizes(), [3, 2]);
    for (ready, sizes) in [([3, 1], [2, 3]), ([2, 2], [1, 4]), ([1, 3], [0, 4])] {
        stage.pods(&ready);
        assert_eq!(stage.sizes(), sizes);
    }
    stage.pods(&[0, 4]);
    assert_eq!(
        stage.says("Progressing"),
        pair("True", "NewReplicaSetAvailable")
    );
    assert_eq!(stage.events.len(), 9, "{:#?}", stage.events);
}

#[test]
fn a_settled_deployment_needs_nothing() {
    let mut stage = Stage::new(&json!({"replicas": 3}));
    stage.settle();
    stage.pods(&[3]);
    assert!(!stage.step());
}

#[test]
fn an_earlier_template_brings_back_its_replica_set() {
    let mut stage = Stage::new(&json!({"replicas": 0}));
    stage.settle();
    stage.version("2");
    stage.settle();
    assert_eq!(stage.revisions(), ["1", "2"]);
    stage.version("1");
    stage.settle();
    assert_eq!(stage.revisions(), ["3", "2"]);
    let history = &stage.sets[0].metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision-history"];
    assert_eq!(history, "1");
}

#[test]
fn scaling_in_the_middle_of_a_rollout_is_shared_by_size() {
    let mut stage = Stage::new(&json!({"replicas": 10,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}}));
    stage.settle();
    stage.pods(&[10]);
    stage.version("2");
    stage.settle();
    assert_eq!(stage.sizes(), [8, 5]);
    stage.pods(&[8, 0]);
    stage.scale(15);
    stage.settle();
    assert_eq!(stage.sizes(), [11, 7]);
}

#[test]
fn pods_that_are_about_to_go_make_no_room() {
    let mut stage = Stage::new(&json!({"replicas": 8,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 2}}}));
    stage.settle();
    stage.pods(&[8]);
    stage.version("2");
    stage.settle();
    stage.pods(&[6, 0]);
    assert_eq!(stage.sizes(), [6, 4]);
    // The statuses count the six and four of before all through what follows.
    stage.scale(4);
    stage.settle();
    assert_eq!(stage.sizes(), [2, 4]);
}

#[test]
fn unready_old_pods_make_room_first() {
    let mut stage = Stage::new(&json!({"replicas": 4}));
    stage.settle();
    stage.pods(&[1]);
    stage.version("2");
    stage.settle();
    assert_eq!(stage.sizes(), [3, 2]);
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut stage = Stage::new(&json!({"replicas": 2, "strategy": {"type": "Recreate"}}));
    stage.settle();
    stage.pods(&[2]);
    stage.version("2");
    stage.settle();
    assert_eq!(stage.sizes(), [0], "old pods still run");
    stage.pods(&[0]);
    assert_eq!(stage.sizes(), [0, 2]);
}

#[test]
fn a_paused_deployment_scales_but_rolls_nothing_out() {
    let mut stage = Stage::new(&json!({"replicas": 1}));
    stage.settle();
    stage.pods(&[1]);
    stage.deployment.spec.as_mut().unwrap().paused = Some(true);
    stage.settle();
    assert_eq!(
        stage.says("Progressing"),
        pair("Unknown", "DeploymentPaused")
    );
    stage.version("2");
    stage.scale(2);
    stage.settle();
    assert_eq!(stage.sizes(), [2]);
    stage.deployment.spec.as_mut().unwrap().paused = None;
    stage.settle();
    assert_eq!(stage.sizes().len(), 2);
}

#[test]
fn history_beyond_the_limit_is_deleted_oldest_first() {
    let mut stage = Stage::new(&json!({"replicas": 0, "revisionHistoryLimit": 1}));
    for version in ["1", "2", "3", "4"] {
        stage.version(version);
        stage.settle();
        stage.pods(&[0, 0, 0]);
    }
    assert_eq!(stage.revisions(), ["3", "4"]);
}

#[test]
fn without_progress_the_deadline_passes() {
    let mut stage = Stage::new(&json!({"replicas": 1, "progressDeadlineSeconds": 5}));
    stage.settle();
    stage.clock += 10;
    stage.settle();
    assert_eq!(
        stage.says("Progressing"),
        pair("False", "ProgressDeadlineExceeded")
    );
    stage.pods(&[1]);
    assert_eq!(
        stage.says("Progressing"),
        pair("True", "NewReplicaSetAvailable")
    );
}
