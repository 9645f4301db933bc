//! Where a container sees its pod's volumes: `volumeMounts` and `volumeDevices`.

use serde_json::Value;

use crate::field::{Path, Problem, Problems};
use crate::validation::check;
use crate::validation::json::{boolean, list, present, text};

/// The volumes of a pod that are sound.
pub(super) struct Volumes<'a>(pub(super) Vec<&'a Value>);

impl Volumes<'_> {
    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().copied().find(|volume| volume["name"] == name)
    }
}

const NO_BLOCK: &str =
    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";

/// `volumeMounts`.
pub(super) fn mounts(container: &Value, volumes: &Volumes<'_>, path: &Path) -> Problems {
    let devices = list(container, "/volumeDevices");
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Problems::new();
    for (i, mount) in list(container, "/volumeMounts").iter().enumerate() {
        let at = path.index(i);
        let (name, place) = (text(mount, "/name"), text(mount, "/mountPath"));
        problems.extend(check::needed(mount, "name", &at));
        if volumes.find(name).is_none() {
            problems.push(Problem::not_found(at.child("name"), name));
        }
        problems.extend(check::needed(mount, "mountPath", &at));
        if seen.contains(&place) {
            problems.push(Problem::invalid(
                at.child("mountPath"),
                place,
                "must be unique",
            ));
        }
        seen.push(place);
        if devices.iter().any(|device| text(device, "/name") == name) {
            let words = "must not already exist in volumeDevices";
            problems.push(Problem::invalid(at.child("name"), name, words));
        }
        if devices
            .iter()
            .any(|device| text(device, "/devicePath") == place)
        {
            let words = "must not already exist as a path in volumeDevices";
            problems.push(Problem::invalid(at.child("mountPath"), place, words));
        }
        problems.extend(sub_paths(mount, path, &at));
        problems.extend(propagation(
            mount,
            container,
            &path.child("mountPropagation"),
        ));
        problems.extend(recursive_read_only(mount, &path.child("recursiveReadOnly")));
    }
    problems
}

/// Upstream reports these at the list, but for what excludes each other.
fn sub_paths(mount: &Value, path: &Path, at: &Path) -> Problems {
    let (plain, expression) = (text(mount, "/subPath"), text(mount, "/subPathExpr"));
    let mut problems = Problems::new();
    if !plain.is_empty() {
        problems.extend(check::descending_path(plain, &path.child("subPath")));
    }
    if expression.is_empty() {
        return problems;
    }
    if !plain.is_empty() {
        let words = "subPathExpr and subPath are mutually exclusive";
        problems.push(Problem::invalid(at.child("subPathExpr"), expression, words));
    }
    problems.extend(check::descending_path(
        expression,
        &path.child("subPathExpr"),
    ));
    problems
}

fn propagation(mount: &Value, container: &Value, at: &Path) -> Problems {
    let Some(mode) = mount["mountPropagation"].as_str() else {
        return Problems::new();
    };
    let known = ["Bidirectional", "HostToContainer", "None"];
    let mut problems = check::known(mode, at.clone(), &known);
    let privileged = boolean(container, "/securityContext/privileged") == Some(true);
    if mode == "Bidirectional" && !privileged {
        let words = "Bidirectional mount propagation is available only to privileged containers";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    problems
}

fn recursive_read_only(mount: &Value, at: &Path) -> Problems {
    let mode = match mount["recursiveReadOnly"].as_str() {
        None | Some("Disabled") => return Problems::new(),
        Some(mode) => mode,
    };
    if !["Enabled", "IfPossible"].contains(&mode) {
        return check::known(mode, at.clone(), &["Disabled", "Enabled", "IfPossible"]);
    }
    let mut problems = Problems::new();
    if boolean(mount, "/readOnly") != Some(true) {
        let words = "may only be specified when readOnly is true";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    if mount["mountPropagation"]
        .as_str()
        .is_some_and(|mode| mode != "None")
    {
        let words = "may only be specified when mountPropagation is None or not specified";
        problems.push(Problem::forbidden(at.clone(), words));
    }
    problems
}

/// `volumeDevices`.
pub(super) fn devices(container: &Value, volumes: &Volumes<'_>, path: &Path) -> Problems {
    let mounts = list(container, "/volumeMounts");
    let devices = list(container, "/volumeDevices");
    let mut problems = Problems::new();
    for (i, device) in devices.iter().enumerate() {
        let at = path.index(i);
        let before = &devices[..i];
        problems.extend(device_name(device, before, volumes, &at));
        problems.extend(device_path(device, before, &at));
        for (member, theirs, words) in [
            ("name", "/name", "must not already exist in volumeMounts"),
            (
                "devicePath",
                "/mountPath",
                "must not already exist as a path in volumeMounts",
            ),
        ] {
            let value = text(device, &format!("/{member}"));
            if mounts.iter().any(|mount| text(mount, theirs) == value) {
                problems.push(Problem::invalid(at.child(member), value, words));
            }
        }
    }
    problems
}

fn device_name(device: &Value, before: &[Value], volumes: &Volumes<'_>, path: &Path) -> Problems {
    let (at, name) = (path.child("name"), text(device, "/name"));
    let mut problems = check::needed(device, "name", path);
    if !name.is_empty() && before.iter().any(|other| text(other, "/name") == name) {
        problems.push(Problem::invalid(at.clone(), name, "must be unique"));
    }
    match volumes.find(name) {
        Some(volume) if !is_claim(volume) => problems.push(Problem::invalid(at, name, NO_BLOCK)),
        Some(_) => {}
        None => problems.push(Problem::not_found(at, name)),
    }
    problems
}

fn device_path(device: &Value, before: &[Value], path: &Path) -> Problems {
    let (at, place) = (path.child("devicePath"), text(device, "/devicePath"));
    let escapes = |place: &str| !check::no_backsteps(place, &at).is_empty();
    let mut problems = check::needed(device, "devicePath", path);
    let same = |other: &Value| text(other, "/devicePath") == place;
    if !escapes(place) && before.iter().any(same) {
        problems.push(Problem::invalid(at.clone(), place, "must be unique"));
    }
    if escapes(place) {
        problems.push(Problem::invalid(
            at.clone(),
            place,
            "can not contain backsteps ('..')",
        ));
    }
    problems
}

fn is_claim(volume: &Value) -> bool {
    present(volume, "/persistentVolumeClaim") || present(volume, "/ephemeral")
}
