//! What the supervisor must know of a `config.json`, and what it refuses in it.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};

/// What is taken from a specification.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requirements {
    /// The container's cgroup in every hierarchy.
    pub(super) group: PathBuf,
    /// The container has a pid namespace to itself, so its processes end with the first of them.
    pub(super) own_processes: bool,
    /// It may use only so much memory.
    pub(super) memory_is_limited: bool,
    /// The program, whose user, rights and environment an exec has, too.
    pub(super) process: Process,
}

impl Requirements {
    /// Reads a specification; the error names the field.
    pub(super) fn of(spec: &Spec) -> Result<Self, String> {
        let linux = spec.linux().as_ref().ok_or("config.json has no linux")?;
        let namespaces = linux.namespaces().as_deref().unwrap_or_default();
        let namespace = |kind| namespaces.iter().find(|found| found.typ() == kind);
        for (kind, name) in [
            (LinuxNamespaceType::Network, "network"),
            (LinuxNamespaceType::Ipc, "ipc"),
            (LinuxNamespaceType::Uts, "uts"),
        ] {
            if namespace(kind).is_some() {
                return Err(format!(
                    "config.json: linux.namespaces has {name}, which the pod's supervisor holds: leave it out"
                ));
            }
        }
        if namespace(LinuxNamespaceType::Mount).is_none() {
            return Err("config.json: linux.namespaces lacks mount".to_owned());
        }
        let process = spec
            .process()
            .as_ref()
            .ok_or("config.json has no process")?;
        if process.terminal() == Some(true) {
            return Err("config.json: process.terminal is not supported".to_owned());
        }
        let group = linux.cgroups_path().clone();
        Ok(Self {
            group: group
                .filter(|path| path.is_absolute())
                .ok_or("config.json: linux.cgroupsPath is no absolute path")?,
            own_processes: namespace(LinuxNamespaceType::Pid)
                .is_some_and(|namespace| namespace.path().is_none()),
            memory_is_limited: linux
                .resources()
                .as_ref()
                .is_some_and(|resources| resources.memory().is_some()),
            process: process.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(linux: &str) -> Result<Requirements, String> {
        let text = format!(
            r#"{{"ociVersion":"1.2.0","process":{{"user":{{"uid":0,"gid":0}},"args":["a"],"cwd":"/"}},"linux":{linux}}}"#
        );
        Requirements::of(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn what_the_supervisor_holds_and_what_it_lacks_is_refused_by_name() {
        let cases = [
            (r#"{"namespaces":[{"type":"network"}]}"#, "has network"),
            (r#"{"namespaces":[{"type":"pid"}]}"#, "lacks mount"),
            (
                r#"{"namespaces":[{"type":"mount"}],"cgroupsPath":"a"}"#,
                "linux.cgroupsPath",
            ),
        ];
        for (linux, expected) in cases {
            let error = read(linux).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_namespace_by_path_is_not_the_containers_own() {
        let with = |pid: &str| {
            let linux = format!(
                r#"{{"namespaces":[{{"type":"mount"}}{pid}],"cgroupsPath":"/pods/x/web"}}"#
            );
            read(&linux).unwrap().own_processes
        };
        assert!(with(r#",{"type":"pid"}"#));
        assert!(!with(r#",{"type":"pid","path":"/x"}"#));
        assert!(!with(""));
    }
}
