//! The watch cache: every stored object once, as the bytes that clients get, fed by one watch of the store.
//!
//! One feeder follows the whole store, so a commit wakes one task however many kinds there are; each kind
//! has a [`Cache`] of its own with its recent changes. A read first waits ([`Registry::fresh`]) until the
//! feeder has seen the store's newest revision, so a client always reads what it wrote.

mod cache;
mod feed;
mod stored;

pub use cache::{Cache, Change, ChangeKind, Expired, Snapshot};
pub use stored::Stored;

use std::sync::Arc;

use api::resource::Resource;
use api::resources;
use store::{Revision, Store, StoreError};
use tokio::sync::watch;

/// All kinds' caches over one store.
pub struct Registry {
    store: Arc<dyn Store>,
    caches: Box<[Cache]>,
    applied: watch::Sender<Revision>,
}

impl Registry {
    /// Loads everything that is stored.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        let registry = Self {
            store,
            caches: resources::all().iter().map(Cache::new).collect(),
            applied: watch::Sender::new(Revision::default()),
        };
        feed::load(&registry).await?;
        Ok(Arc::new(registry))
    }

    /// Follows the store until it is closed.
    pub async fn follow(self: Arc<Self>) {
        feed::follow(&self).await;
    }

    /// The store below, for transactions and history.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The cache of a declared kind, by group and plural name.
    ///
    /// # Panics
    /// When the kind is not declared in [`api::resources`].
    pub fn kind(&self, group: &str, plural: &str) -> &Cache {
        let found = self.caches.iter().find(|cache| {
            let resource = cache.resource();
            resource.group == group && resource.plural == plural
        });
        found.expect("only declared kinds are asked for")
    }

    /// The cache of this kind.
    pub fn of(&self, resource: &Resource) -> &Cache {
        self.kind(resource.group, resource.plural)
    }

    /// Every kind's cache.
    pub fn caches(&self) -> &[Cache] {
        &self.caches
    }

    /// Up to where the caches have seen the store.
    pub fn applied(&self) -> Revision {
        *self.applied.borrow()
    }

    /// The server is complete: watches cannot begin before this, as with a server that has just read what is
    /// stored.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        let now = self.fresh().await?;
        self.caches.iter().for_each(|cache| cache.begin(now));
        Ok(())
    }

    /// Waits until the caches hold everything that was durable when this was called.
    ///
    /// # Errors
    /// What the store says; [`StoreError::Closed`] when it ends meanwhile.
    pub async fn fresh(&self) -> Result<Revision, StoreError> {
        let wanted = self.store.revision().await?;
        self.reach(wanted).await
    }

    /// Waits until the caches have seen this revision.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the store ends meanwhile.
    pub async fn reach(&self, wanted: Revision) -> Result<Revision, StoreError> {
        let now = self.applied();
        if now >= wanted {
            return Ok(now);
        }
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|revision| *revision >= wanted).await;
        reached
            .map(|revision| *revision)
            .map_err(|_| StoreError::Closed)
    }

    /// Woken whenever the caches have seen more.
    pub fn progress(&self) -> watch::Receiver<Revision> {
        self.applied.subscribe()
    }
}
