//! What is mounted in a container: the usual file systems of the kernel, then binds of the node's files.

use std::path::PathBuf;

use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};

/// Something of the node that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) destination: PathBuf,
    pub(crate) read_only: bool,
    /// Read-only down to the mounts below it.
    pub(crate) recursively: bool,
    pub(crate) propagation: Propagation,
}

/// Whether mounts made later show on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    #[default]
    None,
    HostToContainer,
}

impl Bind {
    /// A file or folder that the container may write.
    pub(crate) fn writable(source: PathBuf, destination: impl Into<PathBuf>) -> Self {
        Self {
            source,
            destination: destination.into(),
            read_only: false,
            recursively: false,
            propagation: Propagation::None,
        }
    }

    pub(super) fn mount(&self) -> Result<Mount, OciSpecError> {
        let access = match (self.read_only, self.recursively) {
            (true, true) => "rro",
            (true, false) => "ro",
            (false, _) => "rw",
        };
        let propagation = match self.propagation {
            Propagation::None => "rprivate",
            Propagation::HostToContainer => "rslave",
        };
        MountBuilder::default()
            .destination(self.destination.clone())
            .typ("bind")
            .source(self.source.clone())
            .options(["rbind", propagation, access].map(str::to_owned).to_vec())
            .build()
    }
}

/// Destination, type and options, as container runtimes have them for Kubernetes. `/dev/shm` is not here: it is
/// the pod's, and so a bind.
const USUAL: [(&str, &str, &[&str]); 6] = [
    ("/proc", "proc", &["nosuid", "noexec", "nodev"]),
    (
        "/dev",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ),
    (
        "/dev/pts",
        "devpts",
        &[
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ],
    ),
    ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    (
        "/sys/fs/cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "relatime", "ro"],
    ),
];

/// The kernel's file systems; a privileged container may change them.
pub(super) fn usual(privileged: bool) -> Result<Vec<Mount>, OciSpecError> {
    USUAL
        .iter()
        .map(|(destination, kind, options)| {
            let options = options
                .iter()
                .map(|option| match *option {
                    "ro" if privileged => "rw",
                    option => option,
                })
                .map(str::to_owned);
            MountBuilder::default()
                .destination(*destination)
                .typ(*kind)
                .source(*kind)
                .options(options.collect::<Vec<_>>())
                .build()
        })
        .collect()
}
