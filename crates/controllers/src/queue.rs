//! A queue of names of things to look at: each at most once, never by two workers at a time, later on request.
//!
//! The rules are those of client-go's workqueue: a key added while it is worked on is worked on again
//! afterwards; failures wait longer each time until a success.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Result;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Keys to be worked on.
pub(crate) struct Queue<T> {
    inner: Arc<Inner<T>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

struct Inner<T> {
    state: Mutex<State<T>>,
    wake: Notify,
    first_pause: Duration,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// In `waiting`, or to go there as soon as the worker that has it is done.
    dirty: HashSet<T>,
    running: HashSet<T>,
    later: BTreeSet<(Instant, T)>,
    due: HashMap<T, Instant>,
    failures: HashMap<T, u32>,
}

/// What a worker's success means for its key.
pub(crate) type Again = Option<Duration>;

impl<T: Clone + Eq + Hash + Ord + std::fmt::Display> Queue<T> {
    /// A queue whose first retry comes after `first_pause`, each further one after twice the time.
    pub(crate) fn new(first_pause: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State {
                    waiting: VecDeque::new(),
                    dirty: HashSet::new(),
                    running: HashSet::new(),
                    later: BTreeSet::new(),
                    due: HashMap::new(),
                    failures: HashMap::new(),
                }),
                wake: Notify::new(),
                first_pause,
            }),
        }
    }

    /// To be worked on as soon as may be.
    pub(crate) fn add(&self, key: T) {
        self.lock().add(key);
        self.inner.wake.notify_one();
    }

    /// To be worked on after a time, or earlier if asked for earlier.
    pub(crate) fn add_after(&self, key: T, delay: Duration) {
        let at = Instant::now() + delay;
        let mut state = self.lock();
        if let Some(due) = state.due.get(&key).copied() {
            if due <= at {
                return;
            }
            state.later.remove(&(due, key.clone()));
        }
        state.due.insert(key.clone(), at);
        state.later.insert((at, key));
        drop(state);
        self.inner.wake.notify_one();
    }

    /// Has `concurrency` workers call `sync` for each key, for ever.
    pub(crate) async fn work<F, Fut>(&self, name: &str, concurrency: usize, sync: F)
    where
        F: Fn(T) -> Fut,
        Fut: Future<Output = Result<Again>>,
    {
        let worker = || async {
            loop {
                let key = self.next().await;
                let outcome = sync(key.clone()).await;
                self.finish(name, key, &outcome);
            }
        };
        join_all((0..concurrency).map(|_| worker())).await;
    }

    fn finish(&self, name: &str, key: T, outcome: &Result<Again>) {
        let pause = match outcome {
            Ok(again) => {
                self.lock().failures.remove(&key);
                *again
            }
            Err(problem) => {
                let failures = self.lock().fail(&key);
                // A lost race is no news: the object comes again with the next watch event.
                if problem.is_conflict() || failures < 4 || !failures.is_power_of_two() {
                    tracing::debug!(controller = name, %key, %problem, "will try again");
                } else {
                    tracing::warn!(controller = name, %key, %problem, failures, "will try again");
                }
                let doubled = self.inner.first_pause * 2u32.saturating_pow(failures.min(20) - 1);
                Some(doubled.min(LONGEST_PAUSE))
            }
        };
        self.lock().done(&key);
        self.inner.wake.notify_one();
        if let Some(pause) = pause {
            self.add_after(key, pause);
        }
    }

    async fn next(&self) -> T {
        loop {
            let wake = self.inner.wake.notified();
            let (key, until, more) = {
                let mut state = self.lock();
                state.promote(Instant::now());
                let key = state.take();
                let until = state.later.first().map(|(at, _)| *at);
                (key, until, !state.waiting.is_empty())
            };
            if let Some(key) = key {
                if more {
                    self.inner.wake.notify_one();
                }
                return key;
            }
            match until {
                Some(until) => drop(tokio::time::timeout_at(until, wake).await),
                None => wake.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Eq + Hash + Ord> State<T> {
    fn add(&mut self, key: T) {
        if self.dirty.insert(key.clone()) && !self.running.contains(&key) {
            self.waiting.push_back(key);
        }
    }

    fn promote(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.later.pop_first() {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }

    fn take(&mut self) -> Option<T> {
        let key = self.waiting.pop_front()?;
        self.dirty.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    fn done(&mut self, key: &T) {
        self.running.remove(key);
        if self.dirty.contains(key) {
            self.waiting.push_back(key.clone());
        }
    }

    fn fail(&mut self, key: &T) -> u32 {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures += 1;
        *failures
    }
}

#[cfg(test)]
mod tests;
