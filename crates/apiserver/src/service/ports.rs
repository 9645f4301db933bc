//! Which node ports are taken. The truth is a key per port in the store, written and removed with the
//! Service that holds it; memory follows, so that picks need not ask the store.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::allocator::PortRange;
use api::status::Status;
use bytes::Bytes;
use store::{RangeQuery, Store, StoreError};
use tokio::sync::OnceCell;

use crate::keys::INTERNAL;

/// The pool of node ports.
pub(super) struct Ports {
    range: PortRange,
    loaded: OnceCell<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Held by stored Services, as far as is known.
    held: BTreeSet<u16>,
    /// Marked by writes that are under way.
    under_way: BTreeSet<u16>,
}

/// The key that holds a port.
pub(super) fn key(port: u16) -> Bytes {
    format!("{}{port}", prefix()).into()
}

/// What all keys of ports start with.
pub(super) fn prefix() -> String {
    format!("{INTERNAL}nodeports/")
}

/// The port of a key.
pub(super) fn port_of(key: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(key).ok()?;
    text.strip_prefix(&prefix())?.parse().ok()
}

impl Ports {
    pub(super) fn new(range: PortRange) -> Self {
        Self {
            range,
            loaded: OnceCell::new(),
            state: Mutex::default(),
        }
    }

    pub(super) fn range(&self) -> &PortRange {
        &self.range
    }

    /// Reads the store at first use, and again when memory says that nothing is left: another server may have
    /// given ports back.
    pub(super) async fn ready(&self, store: &dyn Store) -> Result<(), Status> {
        self.loaded.get_or_try_init(|| self.load(store)).await?;
        if self.is_full() {
            self.load(store).await?;
        }
        Ok(())
    }

    async fn load(&self, store: &dyn Store) -> Result<(), Status> {
        let found = store.range(RangeQuery::prefix(prefix())).await;
        let found = found.map_err(|error| unreadable(&error))?;
        let ports = found.items.iter().filter_map(|item| port_of(&item.key));
        self.lock().held = ports.collect();
        Ok(())
    }

    fn is_full(&self) -> bool {
        let state = self.lock();
        self.range.pick(0, |port| state.has(port)).is_none()
    }

    /// Whether somebody has this port; the store is asked.
    pub(super) async fn is_taken(&self, store: &dyn Store, port: i64) -> Result<bool, Status> {
        let Some(port) = self.range.port(port) else {
            return Ok(false);
        };
        let found = store.get(key(port)).await;
        let stored = found.map_err(|error| unreadable(&error))?.is_some();
        let mut state = self.lock();
        if stored {
            state.held.insert(port);
        } else {
            state.held.remove(&port);
        }
        Ok(state.has(port))
    }

    /// Marks a port for a write that is under way; `false` when another one was faster.
    pub(super) fn mark(&self, port: u16) -> bool {
        let mut state = self.lock();
        !state.has(port) && state.under_way.insert(port)
    }

    /// Picks a port and marks it.
    pub(super) fn pick(&self, chance: u64) -> Option<u16> {
        let mut state = self.lock();
        let port = self.range.pick(chance, |port| state.has(port))?;
        state.under_way.insert(port);
        Some(port)
    }

    /// The write that had marked this port failed.
    pub(super) fn unmark(&self, port: u16) {
        self.lock().under_way.remove(&port);
    }

    /// The port is held by a stored Service.
    pub(super) fn hold(&self, port: u16) {
        let mut state = self.lock();
        state.under_way.remove(&port);
        state.held.insert(port);
    }

    /// No stored Service holds this port any more.
    pub(super) fn free(&self, port: u16) {
        self.lock().held.remove(&port);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has(&self, port: u16) -> bool {
        self.held.contains(&port) || self.under_way.contains(&port)
    }
}

fn unreadable(error: &StoreError) -> Status {
    Status::internal(format!("cannot read which node ports are taken: {error}"))
}
