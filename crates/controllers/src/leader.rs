//! Elects who runs the controllers, by a Lease (the protocol of `client-go/tools/leaderelection`).
//!
//! A candidate takes over when the Lease has not changed for its whole duration as the candidate saw it: clocks of
//! different machines are never compared.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::{Api, Client};
use tokio::time::Instant;

use crate::config::LeaderElection;
use crate::error::Error;
use crate::write;

/// A candidate, or the leader.
pub(crate) struct Candidate {
    api: Api<Lease>,
    election: LeaderElection,
    identity: String,
    observed: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    pub(crate) fn new(client: Client, election: LeaderElection, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, &election.namespace),
            election,
            identity,
            observed: None,
        }
    }

    /// Returns when this process holds the Lease.
    pub(crate) async fn acquire(&mut self) {
        while !self.try_once().await {
            tokio::time::sleep(self.election.retry_period).await;
        }
        tracing::info!(lease = self.election.name, "leading");
    }

    /// Keeps the Lease; returns when it is lost or could not be renewed in time.
    pub(crate) async fn keep(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < self.election.renew_deadline {
            tokio::time::sleep(self.election.retry_period).await;
            let left = self
                .election
                .renew_deadline
                .saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.try_once()).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) if self.somebody_else_leads() => break,
                _ => {}
            }
        }
        tracing::warn!(lease = self.election.name, "no longer leading");
    }

    /// Gives the Lease up, so that another need not wait for its end.
    pub(crate) async fn release(&mut self) {
        let held = self.api.get_opt(&self.election.name).await.ok().flatten();
        let Some(mut lease) = held.filter(|lease| holder(lease.spec.as_ref()) == self.identity)
        else {
            return;
        };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        if let Err(problem) = write::replace(&self.api, &lease).await {
            tracing::debug!(%problem, "the Lease could not be given up");
        }
    }

    fn somebody_else_leads(&self) -> bool {
        let spec = self.observed.as_ref().map(|(spec, _)| spec);
        !matches!(holder(spec), "") && holder(spec) != self.identity
    }

    async fn try_once(&mut self) -> bool {
        match self.attempt().await {
            Ok(held) => held,
            Err(problem) => {
                tracing::debug!(%problem, "no luck with the Lease");
                false
            }
        }
    }

    async fn attempt(&mut self) -> Result<bool, Error> {
        let found = self.api.get_opt(&self.election.name).await;
        let found = found.map_err(|source| Error::Api {
            verb: "read",
            what: format!("Lease {}/{}", self.election.namespace, self.election.name),
            source,
        })?;
        let now = Instant::now();
        let Some(mut lease) = found else {
            let spec = self.claim(None);
            let made = write::create(&self.api, &self.lease(spec.clone())).await;
            made?;
            self.observed = Some((spec, now));
            return Ok(true);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if self.observed.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.observed = Some((spec.clone(), now));
        }
        let since = self.observed.as_ref().map_or(now, |(_, since)| *since);
        if !may_take(&spec, &self.identity, now.duration_since(since)) {
            return Ok(false);
        }
        let claimed = self.claim(Some(&spec));
        lease.spec = Some(claimed.clone());
        write::replace(&self.api, &lease).await?;
        self.observed = Some((claimed, now));
        Ok(true)
    }

    fn claim(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        claim(
            old,
            &self.identity,
            self.election.lease_duration,
            Timestamp::now(),
        )
    }

    fn lease(&self, spec: LeaseSpec) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.election.name.clone()),
                namespace: Some(self.election.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        }
    }
}

fn holder(spec: Option<&LeaseSpec>) -> &str {
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// Whether a Lease that has not changed for `unchanged` may be taken or renewed.
fn may_take(spec: &LeaseSpec, identity: &str, unchanged: Duration) -> bool {
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    let duration = Duration::from_secs(seconds.unwrap_or(0));
    holder(Some(spec)).is_empty() || holder(Some(spec)) == identity || unchanged > duration
}

/// The Lease as its holder writes it.
fn claim(old: Option<&LeaseSpec>, identity: &str, duration: Duration, now: Timestamp) -> LeaseSpec {
    let mut spec = old.cloned().unwrap_or_default();
    if holder(old) != identity {
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(old.map_or(0, |old| old.lease_transitions.unwrap_or(0) + 1));
    }
    spec.holder_identity = Some(identity.to_owned());
    spec.lease_duration_seconds = i32::try_from(duration.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_when_free_own_or_expired_as_seen_from_here() {
        let lease = |holder: &str| LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        let cases = [
            ("", 0, true),
            ("me", 0, true),
            ("other", 15, false),
            ("other", 16, true),
        ];
        for (holder, unchanged, expected) in cases {
            let taken = may_take(&lease(holder), "me", Duration::from_secs(unchanged));
            assert_eq!(taken, expected, "{holder} {unchanged}");
        }
    }

    #[test]
    fn taking_over_counts_and_renewing_does_not() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = claim(None, "a", Duration::from_secs(15), at(1));
        let renewed = claim(Some(&first), "a", Duration::from_secs(15), at(2));
        let taken = claim(Some(&renewed), "b", Duration::from_secs(15), at(3));
        let told = |spec: &LeaseSpec| {
            (
                spec.lease_transitions.unwrap(),
                spec.acquire_time.clone().unwrap().0,
            )
        };
        assert_eq!(
            [told(&first), told(&renewed), told(&taken)],
            [(0, at(1)), (0, at(1)), (1, at(3))]
        );
    }
}
