//! An attempt as a container: its bundle on disk, and what the supervisor must know of it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, VolumeMount};
use pod::PID_NAMESPACE_FILE;
use pod::protocol::{Bundle, ContainerSpec, Program};

use super::Worker;
use super::ending::remove_old_attempts;
use super::start::{Obstacle, command_line};
use crate::error::{Error, IoContext};
use crate::image::{Image, read_file};
use crate::machine;
use crate::pod::expand::expand;
use crate::pod::spec::refusals::refusals;
use crate::pod::spec::user::{self, UserFiles};
use crate::pod::spec::{self, Bind, Ids, Input, Propagation};
use crate::pod::{signal, status::is_on_host_network};
use crate::volume::subpath::{self, SubPath};
use crate::volume::{self, Kind};

/// Where a program leaves its last words, unless the container says otherwise.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// The pod's own files of `/etc`.
const ETC: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

impl Worker {
    /// Writes an attempt's bundle and says what the supervisor is to start.
    pub(super) async fn bundle(
        &self,
        (container, attempt): (&Container, u32),
        image: &Image,
        environment: BTreeMap<String, String>,
    ) -> Result<ContainerSpec, Obstacle> {
        let refused = refusals(&self.pod, container, &self.context.machine.rights);
        if !refused.is_empty() {
            let message = refused.join("; ");
            return Err(Obstacle::new("CreateContainerConfigError", &message));
        }
        let ids = self.ids(container, image)?;
        let stop_signal = signal::stop_signal(container, &image.stop_signal)
            .map_err(|error| Obstacle::new("CreateContainerConfigError", &error))?;
        let words = command_line(container, image, &environment);
        if words.is_empty() {
            return Err(Obstacle::new(
                "CreateContainerError",
                &"neither the image nor the container says what to run",
            ));
        }
        let failed = |error: Error| Obstacle::new("CreateContainerError", &error);
        let config = &self.context.config;
        remove_old_attempts(config, &self.uid, &container.name, attempt);
        let mut binds = self.volume_binds(container, &environment).await?;
        binds.extend(self.etc_binds(container));
        binds.push(self.termination_bind(container, attempt).map_err(failed)?);
        let directory = config.bundle(&self.uid, &container.name, attempt);
        let input = self.input(container, image, (words, environment, ids, binds));
        write_bundle(&directory, &input).map_err(failed)?;
        let writable = config.writable(&self.uid, &container.name, attempt);
        // What a lost supervisor's container left is not for the next one.
        let _ = fs::remove_dir_all(&writable);
        fs::create_dir_all(&writable)
            .context("create", &writable)
            .map_err(failed)?;
        Ok(ContainerSpec {
            name: container.name.clone(),
            attempt,
            log: config.log(&self.uid, &container.name, attempt),
            program: Program::Bundle(Bundle {
                directory,
                layers: image.layers.clone(),
                writable,
                stop_signal,
                oom_score_adj: Some(spec::oom_score_adj(
                    &self.pod,
                    container,
                    self.context.machine.memory_bytes,
                )),
            }),
        })
    }

    fn ids(&self, container: &Container, image: &Image) -> Result<Ids, Obstacle> {
        let read = |path: &str| {
            read_file(&image.layers, path)
                .map(Option::unwrap_or_default)
                .map_err(|error| Obstacle::new("CreateContainerError", &error))
        };
        let files = UserFiles {
            passwd: read("/etc/passwd")?,
            group: read("/etc/group")?,
        };
        user::ids(&self.pod, container, &image.user, &files)
            .map_err(|error| Obstacle::new("CreateContainerConfigError", &error))
    }

    fn input<'a>(
        &'a self,
        container: &'a Container,
        image: &'a Image,
        (words, environment, ids, binds): (Vec<String>, BTreeMap<String, String>, Ids, Vec<Bind>),
    ) -> Input<'a> {
        let config = &self.context.config;
        let machine = &self.context.machine;
        let cgroup = config.cgroup_path(&self.uid, machine.unified_cgroups.as_deref());
        Input {
            pod: &self.pod,
            container,
            words,
            environment,
            image_directory: &image.working_directory,
            ids,
            binds,
            cgroup: cgroup.join(&container.name),
            pid_namespace: self
                .shares_processes()
                .then(|| self.run_directory().join(PID_NAMESPACE_FILE)),
            rights: &machine.rights,
            devices: machine::devices,
        }
    }

    /// Whether the pod's containers see each other's processes.
    pub(super) fn shares_processes(&self) -> bool {
        let spec = self.pod.spec.as_ref();
        spec.and_then(|spec| spec.share_process_namespace)
            .unwrap_or(false)
    }

    async fn volume_binds(
        &self,
        container: &Container,
        environment: &BTreeMap<String, String>,
    ) -> Result<Vec<Bind>, Obstacle> {
        let failed =
            |error: &dyn std::fmt::Display| Obstacle::new("CreateContainerConfigError", error);
        let folder = self.context.config.volume_parts(&self.uid, &container.name);
        let (mut binds, mut parts) = (Vec::new(), Vec::new());
        for (number, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let (source, read_only) = self.volume_source(&mount.name).ok_or_else(|| {
                failed(&format!(
                    "volumeMounts: the pod has no volume {:?}",
                    mount.name
                ))
            })?;
            let part = sub_path(mount, environment).map_err(|error| failed(&error))?;
            let source = match part {
                Some(path) => {
                    let target = folder.join(number.to_string());
                    parts.push(SubPath {
                        volume: source,
                        path,
                        target: target.clone(),
                    });
                    target
                }
                None => source,
            };
            binds.push(bind(mount, source, read_only));
        }
        self.show_parts(parts)
            .await
            .map_err(|error| failed(&error))?;
        Ok(binds)
    }

    async fn show_parts(&self, parts: Vec<SubPath>) -> Result<(), String> {
        let Some(supervisor) = self.supervisor.as_ref().filter(|_| !parts.is_empty()) else {
            return Ok(());
        };
        let pid = supervisor.pid;
        let shown = tokio::task::spawn_blocking(move || subpath::show(pid, parts)).await;
        let shown = shown.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        shown.map_err(|error| format!("failed to prepare subPath: {error}"))
    }

    /// Where a volume is, and whether nobody may write to it.
    fn volume_source(&self, name: &str) -> Option<(PathBuf, bool)> {
        let config = &self.context.config;
        let volume = volume::all(&self.pod).iter().find(|one| one.name == name)?;
        Some(match volume::kind(volume).ok()? {
            Kind::EmptyDir(folder) if folder.in_memory => {
                (config.volume_in_memory(&self.uid, name), false)
            }
            Kind::EmptyDir(_) => (config.volume_folder(&self.uid, name), false),
            Kind::HostPath(host_path) => (host_path.path.to_owned(), false),
            Kind::Files(_) => (config.volume_of_files(&self.uid, name), true),
        })
    }

    /// The pod's files of `/etc` and its shared memory, unless the container mounts something there itself.
    fn etc_binds(&self, container: &Container) -> Vec<Bind> {
        let config = &self.context.config;
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let is_free = |bind: &Bind| {
            let taken = |mount: &VolumeMount| Path::new(&mount.mount_path) == bind.destination;
            !mounts.iter().any(taken)
        };
        let etc = config.etc(&self.uid);
        let files = ETC.map(|name| Bind::writable(etc.join(name), Path::new("/etc").join(name)));
        let memory = if self.uses_host_ipc() {
            PathBuf::from("/dev/shm")
        } else {
            config.shared_memory(&self.uid)
        };
        let memory = Bind::writable(memory, "/dev/shm");
        files.into_iter().chain([memory]).filter(is_free).collect()
    }

    /// Whether the pod shares the machine's inter-process communication.
    pub(super) fn uses_host_ipc(&self) -> bool {
        let spec = self.pod.spec.as_ref();
        spec.and_then(|spec| spec.host_ipc).unwrap_or(false)
    }

    /// An empty file for the program's last words, which any user may write.
    fn termination_bind(&self, container: &Container, attempt: u32) -> Result<Bind, Error> {
        let config = &self.context.config;
        let path = config.termination_log(&self.uid, &container.name, attempt);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).context("create", directory)?;
        }
        fs::write(&path, "").context("create", &path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o666)).context("open up", &path)?;
        let given = container.termination_message_path.as_deref();
        let destination = given.filter(|text| !text.is_empty());
        Ok(Bind::writable(path, destination.unwrap_or(TERMINATION_LOG)))
    }

    /// Writes the pod's own files of `/etc`, when its addresses are known. In place, for containers have them
    /// mounted.
    pub(super) fn write_etc(&self) -> Result<(), Error> {
        let directory = self.context.config.etc(&self.uid);
        fs::create_dir_all(&directory).context("create", &directory)?;
        let on_host = is_on_host_network(&self.pod);
        let node_hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        let names = self.names();
        let addresses = self.surroundings().pod_addresses;
        let texts = [
            crate::pod::etc::hosts(&self.pod, &names, &addresses, &node_hosts),
            format!("{}\n", names.hostname(&self.pod)),
            crate::pod::etc::resolv_conf(&self.pod, &node_resolver(on_host)),
        ];
        for (name, text) in ETC.iter().zip(texts) {
            let path = directory.join(name);
            fs::write(&path, text).context("write", &path)?;
        }
        Ok(())
    }
}

/// The node's resolv.conf. A stub resolver on the loopback serves the machine alone; the file behind it names the
/// servers that pods can ask, too.
fn node_resolver(on_host_network: bool) -> String {
    const OWN: &str = "/etc/resolv.conf";
    const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";
    let own = fs::read_to_string(OWN).unwrap_or_default();
    let is_stub = own
        .lines()
        .any(|line| line.trim() == "nameserver 127.0.0.53");
    if is_stub && !on_host_network {
        return fs::read_to_string(BEHIND_THE_STUB).unwrap_or(own);
    }
    own
}

/// The part of a volume that is mounted, if it is not the whole.
fn sub_path(
    mount: &VolumeMount,
    environment: &BTreeMap<String, String>,
) -> Result<Option<String>, String> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(path) = given(&mount.sub_path) {
        return Ok(Some(path));
    }
    let Some(expression) = given(&mount.sub_path_expr) else {
        return Ok(None);
    };
    let expanded = expand(&expression, |name| {
        environment.get(name).map(String::as_str)
    });
    // What is not known stays as it is written.
    let is_complete = !expanded.contains("$(");
    is_complete
        .then_some(Some(expanded))
        .ok_or_else(|| format!("missing value for subPathExpr {expression:?}"))
}

fn bind(mount: &VolumeMount, source: PathBuf, source_is_read_only: bool) -> Bind {
    let recursive = mount.recursive_read_only.as_deref();
    Bind {
        source,
        destination: PathBuf::from("/").join(&mount.mount_path),
        read_only: source_is_read_only || mount.read_only == Some(true),
        recursively: matches!(recursive, Some("Enabled" | "IfPossible")),
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            _ => Propagation::None,
        },
    }
}

fn write_bundle(directory: &Path, input: &Input<'_>) -> Result<(), Error> {
    let spec = spec::spec(input).map_err(|error| Error::Refused(error.to_string()))?;
    fs::create_dir_all(directory).context("create", directory)?;
    let path = directory.join("config.json");
    let text = serde_json::to_vec(&spec).expect("a specification is plain data");
    fs::write(&path, text).context("write", &path)
}
