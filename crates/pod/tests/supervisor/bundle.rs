//! Images and bundles as an agent prepares them: two layers and a `config.json`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pod::Config;
use pod::protocol::{Bundle, ContainerSpec, Program};
use serde_json::{Value, json};

use crate::agent::Agent;

/// Debian's static busybox; `make tools` installs it.
const BUSYBOX: &str = "/bin/busybox";

const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "echo", "env", "grep", "head", "hostname", "id", "kill", "ls", "mkdir",
    "mount", "ps", "pwd", "readlink", "rm", "sh", "sleep", "stat", "tail", "touch", "true", "wc",
];

/// The capabilities that containers have by default.
const USUAL_CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// An unpacked image of two layers: busybox, and above it a file that replaces one of busybox's.
pub(crate) struct Image {
    directory: tempfile::TempDir,
}

impl Image {
    pub(crate) fn busybox() -> Self {
        let image = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let [top, bottom] = image.layers().try_into().unwrap();
        for directory in ["bin", "etc", "tmp"] {
            fs::create_dir_all(bottom.join(directory)).unwrap();
        }
        fs::set_permissions(bottom.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::copy(BUSYBOX, bottom.join("bin/busybox"))
            .expect("busybox-static is installed (make tools)");
        for applet in APPLETS {
            symlink("busybox", bottom.join("bin").join(applet)).unwrap();
        }
        fs::write(bottom.join("etc/motd"), "below\n").unwrap();
        fs::write(bottom.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        fs::create_dir_all(top.join("etc")).unwrap();
        fs::write(top.join("etc/motd"), "above\n").unwrap();
        image
    }

    /// The built-in echo program and nothing else.
    pub(crate) fn echo() -> Self {
        let image = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for layer in image.layers() {
            fs::create_dir_all(layer).unwrap();
        }
        let file = image.layers()[1].join("echo");
        fs::write(&file, kernel::echo::PROGRAM).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        image
    }

    /// Topmost first.
    pub(crate) fn layers(&self) -> Vec<PathBuf> {
        ["2", "1"]
            .map(|number| self.directory.path().join(number))
            .to_vec()
    }

    /// A container that runs a shell script.
    pub(crate) fn shell(&self, agent: &Agent, name: &str, script: &str) -> Planned {
        self.container(agent, name, json!(["/bin/sh", "-c", script]))
    }

    pub(crate) fn container(&self, agent: &Agent, name: &str, arguments: Value) -> Planned {
        Planned {
            directory: agent.directory().join("bundles").join(name),
            log: agent.log(name),
            name: name.to_owned(),
            layers: self.layers(),
            config: config(agent, name, arguments),
            stop_signal: None,
            oom_score_adj: None,
        }
    }
}

/// A container whose files are not written yet.
pub(crate) struct Planned {
    directory: PathBuf,
    log: PathBuf,
    name: String,
    layers: Vec<PathBuf>,
    pub(crate) config: Value,
    pub(crate) stop_signal: Option<i32>,
    pub(crate) oom_score_adj: Option<i32>,
}

impl Planned {
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Self {
        match self.config.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                self.config.pointer_mut(parent).unwrap()[key] = value;
            }
        }
        self
    }

    pub(crate) fn mount(mut self, mount: Value) -> Self {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    /// Writes the bundle of an attempt.
    pub(crate) fn attempt(&self, attempt: u32) -> ContainerSpec {
        let directory = self.directory.join(attempt.to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config.json"), self.config.to_string()).unwrap();
        ContainerSpec {
            name: self.name.clone(),
            attempt,
            log: self.log.clone(),
            program: Program::Bundle(Bundle {
                writable: self.writable(attempt),
                directory,
                layers: self.layers.clone(),
                stop_signal: self.stop_signal,
                oom_score_adj: self.oom_score_adj,
            }),
        }
    }

    pub(crate) fn writable(&self, attempt: u32) -> PathBuf {
        self.directory.join(attempt.to_string()).join("writable")
    }
}

/// A supervisor that can run containers.
pub(crate) fn agent(name: &str) -> Agent {
    agent_with(name, |_| {})
}

pub(crate) fn agent_with(name: &str, change: impl FnOnce(&mut Config)) -> Agent {
    Agent::start_with(name, |config| {
        config.private_mounts = true;
        change(config);
    })
}

pub(crate) fn bind(source: &Path, destination: &str) -> Value {
    json!({
        "destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate"]
    })
}

fn config(agent: &Agent, name: &str, arguments: Value) -> Value {
    let mut config = json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {
            "user": {"uid": 0, "gid": 0},
            "env": ["PATH=/bin", "GREETING=hello"],
            "cwd": "/",
            "capabilities": {
                "bounding": USUAL_CAPABILITIES,
                "effective": USUAL_CAPABILITIES,
                "permitted": USUAL_CAPABILITIES,
            },
        },
        "mounts": mounts(),
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}],
            "cgroupsPath": agent.group().join(name),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    });
    config["process"]["args"] = arguments;
    config
}

fn mounts() -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let bare = ["nosuid", "noexec", "nodev"];
    json!([
        mount("/proc", "proc", &bare),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"]
        ),
        mount(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5"
            ]
        ),
        mount("/dev/mqueue", "mqueue", &bare),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"]
        ),
    ])
}
