//! A network namespace with no way out that stands for the host: clusters of different tests, and
//! whatever else the machine runs, never meet.

use std::path::PathBuf;

use kernel::{NetNs, Netlink};

/// A host; it goes when dropped.
pub struct Host {
    folder: tempfile::TempDir,
    namespace: NetNs,
}

impl Host {
    /// A fresh one, with nothing but its loopback, up.
    ///
    /// # Panics
    /// When namespaces cannot be made: that needs root.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("fairway-e2e.").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        let namespace = NetNs::create(&folder.path().join("host"));
        let host = Self {
            namespace: namespace.expect("these tests need root: they make network namespaces"),
            folder,
        };
        host.set_loopback_up();
        host
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &NetNs {
        &self.namespace
    }

    /// A path in the folder that goes with it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set_loopback_up(&self) {
        let up = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let netlink = Netlink::here().expect("netlink can be opened");
                netlink
                    .set_up(1, true)
                    .await
                    .expect("the loopback is there");
            });
        };
        self.namespace
            .run(up)
            .expect("the namespace was made just now");
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        NetNs::delete(self.namespace.path()).ok();
    }
}
