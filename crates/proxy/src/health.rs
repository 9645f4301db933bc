//! What others may ask: is the proxy well, does it still want traffic, and how many endpoints of a
//! Service are on this node. Load balancers decide by these answers where they send clients.

use crate::http::{self, Answer};
use forwarding::ServiceName;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};
use tokio::task::AbortHandle;

mod service;

pub(crate) use service::{Refused, ServicePorts};

/// A change that waits for longer than this has got stuck: twice kube-proxy's sync period.
const OVERDUE: Duration = Duration::from_secs(60);

/// The proxy's health, shared by who makes it and who asks.
#[derive(Default)]
pub(crate) struct Health {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_updated: Option<SystemTime>,
    /// When the oldest change that is not in the kernel yet was heard.
    waiting_since: Option<Instant>,
    eligible: bool,
    /// Local ready endpoints, by health-check node port.
    services: HashMap<u16, (ServiceName, LocalEndpoints)>,
}

/// How many ready endpoints of a Service are on this node, IPv4 and IPv6: each family is told its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LocalEndpoints(pub(crate) [usize; 2]);

impl Health {
    /// A change was heard.
    pub(crate) fn waits(&self) {
        self.lock().waiting_since.get_or_insert_with(Instant::now);
    }

    /// Every change so far is in the kernel.
    pub(crate) fn done(&self) {
        let mut state = self.lock();
        state.waiting_since = None;
        state.last_updated = Some(SystemTime::now());
    }

    /// Whether the Node is one that traffic should come to.
    pub(crate) fn set_eligible(&self, eligible: bool) {
        self.lock().eligible = eligible;
    }

    /// What the health-check node ports say.
    pub(crate) fn set_services(&self, services: HashMap<u16, (ServiceName, LocalEndpoints)>) {
        self.lock().services = services;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nobody panics while holding the lock")
    }

    /// `/healthz` also asks whether the Node stays, `/livez` does not.
    fn answer(&self, asks_for_node: bool) -> Answer {
        let state = self.lock();
        let healthy = state.is_healthy();
        let updated = state.last_updated.map(text).unwrap_or_default();
        let now = text(SystemTime::now());
        let mut body = json!({
            // Who is up to date was so just now: kube-proxy has that for readers who know no more of it.
            "lastUpdated": if healthy { &now } else { &updated },
            "currentTime": now,
            "healthy": healthy && (state.eligible || !asks_for_node),
            "status": {
                "IPv4": { "lastUpdated": updated, "healthy": healthy },
                "IPv6": { "lastUpdated": updated, "healthy": healthy },
            },
        });
        if asks_for_node {
            body["nodeEligible"] = state.eligible.into();
        }
        let status = if body["healthy"] == true { 200 } else { 503 };
        http::answer(status, http::JSON, body.to_string())
    }
}

impl State {
    fn is_healthy(&self) -> bool {
        self.last_updated.is_some()
            && self
                .waiting_since
                .is_none_or(|since| since.elapsed() < OVERDUE)
    }
}

/// Answers `/healthz` and `/livez`, and counts the answers.
pub(crate) async fn serve(
    listener: tokio::net::TcpListener,
    health: Arc<Health>,
    count: impl Fn(&'static str, u16) + Send + Sync + 'static,
) {
    let answer = move |path: &str| {
        let (name, answer) = match path {
            "/healthz" => ("healthz", health.answer(true)),
            "/livez" => ("livez", health.answer(false)),
            _ => return http::not_found(),
        };
        count(name, answer.status().as_u16());
        answer
    };
    http::serve(listener, answer).await;
}

fn text(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_needs_a_first_sync_and_livez_ignores_the_node() {
        let health = Health::default();
        assert_eq!(health.answer(true).status(), 503);
        health.done();
        assert_eq!(health.answer(false).status(), 200);
        assert_eq!(health.answer(true).status(), 503);
        health.set_eligible(true);
        assert_eq!(health.answer(true).status(), 200);
        health.waits();
        assert_eq!(health.answer(true).status(), 200);
    }
}
