//! Who typed `sudo`: the cluster needs root, its administrator does not, so what is theirs is given to them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::unistd::{Gid, Uid, User};

/// The user behind `sudo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invoker {
    uid: Uid,
    gid: Gid,
}

impl Invoker {
    /// `None`: this process is not root by `sudo`.
    pub(crate) fn find() -> Option<Self> {
        let named = |name| std::env::var(name).ok();
        let invoker = Self::of(&named("SUDO_UID")?, &named("SUDO_GID")?)?;
        kernel::process::is_root().then_some(invoker)
    }

    fn of(uid: &str, gid: &str) -> Option<Self> {
        let (uid, gid): (u32, u32) = (uid.parse().ok()?, gid.parse().ok()?);
        (uid != 0).then(|| Self {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
        })
    }

    /// Makes a file theirs; who may read it does not change.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .with_context(|| format!("cannot give {} to user {uid}", path.display()))
    }

    /// Their home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        User::from_uid(self.uid).ok().flatten().map(|user| user.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_itself_and_nonsense_are_no_invoker() {
        assert_eq!(Invoker::of("0", "0"), None);
        assert_eq!(Invoker::of("x", "1000"), None);
        assert!(Invoker::of("1000", "1000").is_some());
    }
}
