//! Volumes as objects in, files out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::objects::Data;
use crate::pod::fields::Surroundings;

fn objects(name: &str, data: &[(&str, &str)]) -> BTreeMap<String, Arc<Data>> {
    let data = data
        .iter()
        .map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec()));
    BTreeMap::from([(name.to_owned(), Arc::new(data.collect()))])
}

/// `path=text:mode`, or the error.
fn check(volume: &Value) -> Result<String, String> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web-1", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}}}]},
    }))
    .unwrap();
    let mut object = volume.clone();
    object["name"] = json!("v");
    let volume: Volume = serde_json::from_value(object).unwrap();
    let Kind::Files(files) = kind(&volume).map_err(|error| error.to_string())? else {
        return Ok("no files".to_owned());
    };
    let content = Content {
        pod: &pod,
        around: &Surroundings::default(),
        config_maps: &objects("settings", &[("color", "red"), ("size", "9")]),
        secrets: &objects("keys", &[("token", "abc")]),
        tokens: &BTreeMap::new(),
    };
    let files = files.content(&content).map_err(|error| error.to_string())?;
    let lines = files.iter().map(|(path, file)| {
        let text = String::from_utf8_lossy(&file.bytes);
        format!("{path}={text}:{:o}", file.mode)
    });
    Ok(lines.collect::<Vec<_>>().join(" "))
}

fn check_all(cases: &[(Value, Result<&str, &str>)]) {
    for (volume, expected) in cases {
        let found = check(volume);
        let found = found.as_deref().map_err(String::as_str);
        assert_eq!(found, *expected, "{volume}");
    }
}

#[test]
fn config_maps_become_files() {
    let cases = [
        (
            json!({"configMap": {"name": "settings"}}),
            Ok("color=red:644 size=9:644"),
        ),
        (
            json!({"configMap": {"name": "settings", "defaultMode": 0o400, "items": [
                {"key": "color", "path": "a/b"}, {"key": "size", "path": "s", "mode": 0o755},
            ]}}),
            Ok("a/b=red:400 s=9:755"),
        ),
        (
            json!({"configMap": {"name": "nope"}}),
            Err("configmap \"nope\" not found"),
        ),
        (
            json!({"configMap": {"name": "nope", "optional": true}}),
            Ok(""),
        ),
        (
            json!({"configMap": {"name": "settings", "items": [{"key": "x", "path": "x"}]}}),
            Err("configmap references non-existent config key: x"),
        ),
        (
            json!({"configMap": {"name": "settings", "optional": true, "items": [{"key": "x", "path": "x"}]}}),
            Ok(""),
        ),
    ];
    check_all(&cases);
}

#[test]
fn secrets_and_the_pod_itself_become_files() {
    let token = json!({"serviceAccountToken": {"path": "token"}});
    let cases = [
        (
            json!({"secret": {"secretName": "keys"}}),
            Ok("token=abc:644"),
        ),
        (
            json!({"secret": {"secretName": "nope"}}),
            Err("secret \"nope\" not found"),
        ),
        (
            json!({"secret": {"secretName": "keys", "items": [{"key": "x", "path": "x"}]}}),
            Err("references non-existent secret key: x"),
        ),
        (
            json!({"downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                {"path": "mem", "resourceFieldRef": {"containerName": "c", "resource": "limits.memory", "divisor": "1Mi"}},
            ]}}),
            Ok("labels=app=\"web\":644 mem=64:644"),
        ),
        (
            json!({"projected": {"defaultMode": 0o440, "sources": [
                {"configMap": {"name": "settings", "items": [{"key": "color", "path": "one"}]}},
                {"secret": {"name": "keys", "items": [{"key": "token", "path": "two"}]}},
            ]}}),
            Ok("one=red:440 two=abc:440"),
        ),
        (
            json!({"projected": {"sources": [token]}}),
            Err("the token has not arrived from the API server yet"),
        ),
        (
            json!({"configMap": {"name": "settings", "items": [{"key": "color", "path": "../x"}]}}),
            Err("path \"../x\" leaves the volume"),
        ),
        (json!({"emptyDir": {}}), Ok("no files")),
        (
            json!({"persistentVolumeClaim": {"claimName": "x"}}),
            Err(
                "volumes of kind persistentVolumeClaim are not supported by this node; emptyDir, configMap, secret, downwardAPI, projected and hostPath are",
            ),
        ),
    ];
    check_all(&cases);
}

#[test]
fn empty_dirs_are_folders_or_memory() {
    let parse = |value: Value| {
        let source = serde_json::from_value(value).unwrap();
        empty_dir::EmptyDir::parse(&source).map_err(|error| error.to_string())
    };
    let memory = parse(json!({"medium": "Memory", "sizeLimit": "16Mi"})).unwrap();
    assert_eq!((memory.in_memory, memory.bytes), (true, Some(16 << 20)));
    assert!(!parse(json!({})).unwrap().in_memory);
    let refused = parse(json!({"medium": "HugePages"})).unwrap_err();
    assert!(refused.starts_with("emptyDir.medium: "), "{refused}");
}

#[test]
fn host_paths_are_checked_and_off_unless_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let prepare = |name: &str, kind: &str, allowed: bool| {
        let path = directory.path().join(name);
        let source = serde_json::from_value(json!({"path": path, "type": kind})).unwrap();
        let host_path = host_path::HostPath::of(&source);
        host_path
            .prepare(allowed)
            .map_err(|error| error.to_string())
    };
    assert!(
        prepare("a", "", false)
            .unwrap_err()
            .contains("--allow-host-path")
    );
    assert!(!directory.path().join("a").exists());
    prepare("a", "DirectoryOrCreate", true).unwrap();
    prepare("f", "FileOrCreate", true).unwrap();
    prepare("a", "Directory", true).unwrap();
    prepare("new", "", true).unwrap();
    assert!(directory.path().join("new").is_dir());
    for (name, kind) in [
        ("f", "Directory"),
        ("a", "File"),
        ("a", "Socket"),
        ("absent", "File"),
    ] {
        let error = prepare(name, kind, true).unwrap_err();
        assert!(error.starts_with("hostPath type check failed: "), "{error}");
    }
}
