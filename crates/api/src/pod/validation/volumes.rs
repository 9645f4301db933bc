//! `volumes`: each has a name and exactly one source.

mod claim;
mod files;
mod network;

use serde_json::Value;

use super::containers::pull_policy;
use super::mounts::Volumes;
use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{list, text};
use crate::validation::labels;
use crate::validation::names;

/// What the rules of a source need to know besides the source.
struct Place<'a> {
    /// The pod's name; empty in a template.
    pod: &'a str,
    /// The volume's name.
    name: &'a str,
    is_pod: bool,
}

/// The sound volumes, and the problems of the others.
pub(super) fn volumes<'a>(
    spec: &'a Value,
    meta: Option<&Value>,
    is_pod: bool,
    path: &Path,
) -> (Volumes<'a>, Problems) {
    let pod = meta.map_or("", |meta| text(meta, "/name"));
    let all = list(spec, "/volumes");
    let mut sound: Vec<&Value> = Vec::new();
    let mut problems = Problems::new();
    for (i, volume) in all.iter().enumerate() {
        let (at, name) = (path.index(i), text(volume, "/name"));
        let place = Place { pod, name, is_pod };
        let mut found = source(volume, &place, &at);
        match name {
            "" => found.push(Problem::required(at.child("name"), "")),
            _ => found.extend(check::dns_label(name, &at.child("name"))),
        }
        if sound.iter().any(|other| other["name"] == name) {
            found.push(Problem::duplicate(at.child("name"), name));
        }
        if found.is_empty() {
            sound.push(volume);
        }
        problems.extend(found);
        problems.extend(created_claim(volume, all, pod, &at));
    }
    (Volumes(sound), problems)
}

/// The claim that an ephemeral volume makes is no other volume's.
fn created_claim(volume: &Value, all: &[Value], pod: &str, path: &Path) -> Option<Problem> {
    let claim = volume["persistentVolumeClaim"]["claimName"].as_str()?;
    let made = |other: &Value| {
        !other["ephemeral"].is_null() && claim == format!("{pod}-{}", text(other, "/name"))
    };
    let at = path.child("persistentVolumeClaim").child("claimName");
    let words = "must not reference a PVC that gets created for an ephemeral volume";
    (!pod.is_empty() && all.iter().any(made)).then(|| Problem::invalid(at, claim, words))
}

type Check = fn(&Value, &Place<'_>, &Path) -> Problems;

/// The sources in upstream's order: the member, the name in "more than one" and the one in other problems
/// (which upstream sometimes writes in its own way), and the rules.
const SOURCES: [(&str, &str, &str, Check); 30] = [
    ("emptyDir", "emptyDir", "emptyDir", empty_dir),
    ("hostPath", "hostPath", "hostPath", files::host_path),
    ("gitRepo", "gitRepo", "gitRepo", files::git_repo),
    (
        "gcePersistentDisk",
        "gcePersistentDisk",
        "persistentDisk",
        network::gce_disk,
    ),
    (
        "awsElasticBlockStore",
        "awsElasticBlockStore",
        "awsElasticBlockStore",
        network::aws_disk,
    ),
    ("secret", "secret", "secret", files::secret),
    ("nfs", "nfs", "nfs", network::nfs),
    ("iscsi", "iscsi", "iscsi", network::iscsi),
    ("glusterfs", "glusterfs", "glusterfs", network::glusterfs),
    ("flocker", "flocker", "flocker", network::flocker),
    (
        "persistentVolumeClaim",
        "persistentVolumeClaim",
        "persistentVolumeClaim",
        network::claim,
    ),
    ("rbd", "rbd", "rbd", network::rbd),
    ("cinder", "cinder", "cinder", network::cinder),
    ("cephfs", "cephFS", "cephfs", network::ceph_fs),
    ("quobyte", "quobyte", "quobyte", network::quobyte),
    (
        "downwardAPI",
        "downwarAPI",
        "downwardAPI",
        files::downward_api,
    ),
    ("fc", "fc", "fc", network::fibre_channel),
    ("flexVolume", "flexVolume", "flexVolume", network::flex),
    ("configMap", "configMap", "configMap", files::config_map),
    ("azureFile", "azureFile", "azureFile", network::azure_file),
    (
        "vsphereVolume",
        "vsphereVolume",
        "vsphereVolume",
        network::vsphere,
    ),
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "photonPersistentDisk",
        network::photon,
    ),
    (
        "portworxVolume",
        "portworxVolume",
        "portworxVolume",
        network::portworx,
    ),
    ("azureDisk", "azureDisk", "azureDisk", network::azure_disk),
    ("storageos", "storageos", "storageos", network::storage_os),
    ("projected", "projected", "projected", files::projected),
    ("scaleIO", "scaleIO", "scaleIO", network::scale_io),
    ("csi", "csi", "csi", network::csi),
    ("ephemeral", "ephemeral", "ephemeral", claim::ephemeral),
    ("image", "image", "image", image),
];

fn source(volume: &Value, place: &Place<'_>, path: &Path) -> Problems {
    let mut found = 0;
    let mut problems = Problems::new();
    for (member, as_another, shown, check) in SOURCES {
        let source = &volume[member];
        if source.is_null() {
            continue;
        }
        if found > 0 && member != "emptyDir" {
            let words = "may not specify more than 1 volume type";
            problems.push(Problem::forbidden(path.child(as_another), words));
        } else {
            problems.extend(check(source, place, &path.child(shown)));
        }
        if member == "iscsi" {
            problems.extend(network::iscsi_name(source, place, path));
        }
        if member == "ephemeral" && found == 0 {
            problems.extend(claim_name(place, path));
        }
        found += 1;
    }
    if found == 0 {
        problems.push(Problem::required(
            path.clone(),
            "must specify a volume type",
        ));
    }
    problems
}

fn empty_dir(source: &Value, _: &Place<'_>, path: &Path) -> Problems {
    let limit = text(source, "/sizeLimit");
    if !limit.starts_with('-') {
        return Problems::new();
    }
    let words = "SizeLimit field must be a valid resource quantity";
    vec![Problem::forbidden(path.child("sizeLimit"), words)]
}

fn image(source: &Value, place: &Place<'_>, path: &Path) -> Problems {
    let mut problems = Problems::new();
    if place.is_pod {
        problems.extend(check::needed(source, "reference", path));
    }
    problems.extend(pull_policy(source, "pullPolicy", path));
    problems
}

/// The claim that an ephemeral volume makes has a name of the pod's and the volume's.
fn claim_name(place: &Place<'_>, path: &Path) -> Problems {
    if place.pod.is_empty() || place.name.is_empty() {
        return Problems::new();
    }
    let claim = format!("{}-{}", place.pod, place.name);
    let complaints = names::dns_subdomain(&claim).into_iter();
    let told = complaints
        .map(|text| format!("PVC name \"{claim}\": {text}"))
        .collect();
    labels::invalid(&path.child("name"), place.name, told)
}
