//! Where a cluster is: its data directory, the identifier made of that directory's path, and every
//! path that follows from the two.

use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::state::State;

/// What does not survive a reboot lies below this.
const RUN: &str = "/run/fairway";

/// A cluster, running or not, by its data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    id: String,
    data_dir: PathBuf,
}

impl Place {
    /// The cluster of this data directory, which need not exist.
    ///
    /// # Errors
    /// When the path cannot be made absolute.
    pub fn of(data_dir: &Path) -> Result<Self, Error> {
        let data_dir = canonical(data_dir).map_err(Error::file("resolve", data_dir))?;
        let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
        let id = digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self { id, data_dir })
    }

    /// Eight hexadecimal digits, unique on the machine.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What survives a reboot.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("kubeconfig")
    }

    /// The kubeconfig of the nodes and the balancer.
    #[must_use]
    pub fn cluster_kubeconfig(&self) -> PathBuf {
        self.data_dir.join("pki/cluster.kubeconfig")
    }

    /// The images of all nodes of the machine.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.data_dir.join("images")
    }

    /// The roles' logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.data_dir.join("logs")
    }

    /// A role's log.
    #[must_use]
    pub fn log(&self, role: &str) -> PathBuf {
        self.logs().join(format!("{role}.log"))
    }

    /// What does not survive a reboot.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        Path::new(RUN).join(&self.id)
    }

    /// The file that stands for a network namespace.
    #[must_use]
    pub fn namespace(&self, name: &str) -> PathBuf {
        self.run_dir().join("netns").join(name)
    }

    /// The name of its cgroup in every hierarchy, and the start of its links' names.
    #[must_use]
    pub fn cgroup_name(&self) -> String {
        format!("fairway-{}", self.id)
    }

    /// The name of the link on the host.
    #[must_use]
    pub fn host_link(&self) -> String {
        format!("fw-{}", self.id)
    }

    pub(crate) fn ready_file(&self, role: &str) -> PathBuf {
        self.run_dir().join("ready").join(role)
    }

    pub(crate) fn record(&self, role: &str) -> PathBuf {
        self.run_dir().join("roles").join(format!("{role}.json"))
    }

    pub(crate) fn stopped(&self, role: &str) -> PathBuf {
        self.run_dir().join("stopped").join(role)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.run_dir().join("journal")
    }

    /// Says that a `down` is under way, which decides about the data itself.
    pub(crate) fn down_marker(&self) -> PathBuf {
        self.run_dir().join("down")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.run_dir().join("cluster.json")
    }
}

/// The cluster a command is for: that of `data_dir`, else the only one that runs.
///
/// # Errors
/// [`Error::NoCluster`] or [`Error::SeveralClusters`] when no directory was named.
pub fn find(data_dir: Option<&Path>) -> Result<Place, Error> {
    if let Some(data_dir) = data_dir {
        return Place::of(data_dir);
    }
    let mut places = running()?;
    match places.len() {
        0 => Err(Error::NoCluster),
        1 => Ok(places.remove(0)),
        _ => Err(Error::SeveralClusters(
            places
                .iter()
                .map(|place| place.data_dir.display().to_string())
                .collect(),
        )),
    }
}

/// Every cluster that has something in the run directory.
fn running() -> Result<Vec<Place>, Error> {
    let entries = match std::fs::read_dir(RUN) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", RUN)(error)),
    };
    let states = entries
        .flatten()
        .filter_map(|entry| State::read(&entry.path().join("cluster.json")));
    states.map(|state| Place::of(&state.data_dir)).collect()
}

/// Resolves links and dots as far as the path exists, so that a directory has the same identifier
/// before it is made and after it is removed.
fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut existing = absolute.as_path();
    loop {
        match existing.canonicalize() {
            Ok(mut resolved) => {
                resolved.extend(missing.iter().rev());
                return Ok(resolved);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let Some(Component::Normal(name)) = existing.components().next_back() else {
                    return Err(error);
                };
                missing.push(name.to_owned());
                existing = existing.parent().unwrap_or(Path::new("/"));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_the_same_identifier_before_it_exists_and_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        let before = Place::of(&real).unwrap();
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(before, Place::of(&real).unwrap());
        assert_eq!(before, Place::of(&link).unwrap());
        assert_eq!(
            before,
            Place::of(&folder.path().join("link/../real")).unwrap()
        );
        assert_eq!(before.id().len(), 8);
        assert_ne!(before.id(), Place::of(folder.path()).unwrap().id());
    }

    #[test]
    fn the_longest_socket_path_fits_the_kernels_limit() {
        let place = Place::of(Path::new("/var/lib/fairway")).unwrap();
        let uid = "01234567-89ab-cdef-0123-456789abcdef";
        let socket = place
            .run_dir()
            .join("node-100/pods")
            .join(uid)
            .join("supervisor.sock");
        assert!(socket.as_os_str().len() <= 107, "{socket:?}");
    }
}
