//! The gate that every start of a role passes. Once it is closed nothing starts any more, and closing
//! waits for the start that is under way: so no process appears behind the back of who takes the
//! cluster away.

use std::sync::{Arc, PoisonError, RwLock};

/// Shared by those who start roles.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<RwLock<bool>>);

/// Closes the gate when dropped.
pub(super) struct Gatekeeper(Gate);

impl Gatekeeper {
    pub(super) fn new() -> Self {
        Self(Gate(Arc::new(RwLock::new(true))))
    }

    pub(super) fn gate(&self) -> Gate {
        self.0.clone()
    }
}

impl Gate {
    /// Runs `start` unless the gate is closed.
    pub(super) fn pass<T>(&self, start: impl FnOnce() -> T) -> Option<T> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.then(start)
    }
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_a_closed_gate() {
        let keeper = Gatekeeper::new();
        let gate = keeper.gate();
        assert_eq!(gate.pass(|| 1), Some(1));
        drop(keeper);
        assert_eq!(gate.pass(|| 1), None);
    }
}
