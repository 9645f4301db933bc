//! Cluster IPs and node ports, reserved with the Service that holds them.
//!
//! What a Service needs is decided in [`api::service::allocation`]; here are the pools it asks. An address is
//! held by an `IPAddress` object, a port by a key of its own; the Service's transaction writes them with the
//! Service, on the condition that nobody has them. What is known in memory only guesses, so that a pick is
//! free in nearly all cases: the condition decides, and a lost race picks again.

mod addresses;
mod books;
mod claims;
mod dry_run;
mod ports;
mod repair;

use std::sync::Arc;

use api::resource::{Part, Resource};
use api::resources;
use api::service::allocation::{self, Pools};
use api::service::families::Family;
use api::service::spec::Spec;
use api::status::Status;
use futures::future::BoxFuture;
use serde_json::Value;
use store::Operation;

use crate::config::Config;
use crate::keys;
use crate::registry::Registry;
use crate::reserve::{Hook, Reservation, Reserve, WriteContext};
use books::Books;
use claims::Claims;
use dry_run::DryRun;

pub(crate) use repair::run as keep_repaired;

/// The hooks of Service; they read other kinds from `registry`.
pub fn hooks(config: &Config, registry: &Arc<Registry>) -> Vec<Hook> {
    let services = Services {
        books: Arc::new(Books::new(config, registry)),
    };
    vec![("", "services", Arc::new(services))]
}

struct Services {
    books: Arc<Books>,
}

impl Reserve for Services {
    fn reserve<'a>(
        &'a self,
        write: WriteContext<'a>,
    ) -> BoxFuture<'a, Result<Reservation, Status>> {
        Box::pin(self.plan(write))
    }
}

impl Services {
    async fn plan(&self, write: WriteContext<'_>) -> Result<Reservation, Status> {
        match (write.part, write.old, write.new) {
            // The status is written past the allocator, even where that creates the Service.
            (Part::Sub(_), _, Some(_)) | (_, None, None) => Ok(Reservation::default()),
            (_, Some(old), None) => self.remove(old, write.dry_run).await,
            (Part::Main, old, Some(new)) if write.dry_run => {
                let view = self.books.view(new, old).await?;
                allocate(new, old, &mut DryRun::new(view))?;
                Ok(Reservation::default())
            }
            (Part::Main, old, Some(new)) => {
                let view = self.books.view(new, old).await?;
                let mut claims = Claims::new(self.books.clone(), view);
                allocate(new, old, &mut claims)?;
                Ok(claims.into_reservation(new))
            }
        }
    }

    /// A Service that goes takes the Endpoints of its name along, so that a new one does not start with the
    /// addresses of the old one.
    async fn remove(&self, old: &Value, dry_run: bool) -> Result<Reservation, Status> {
        if dry_run {
            return Ok(Reservation::default());
        }
        let view = self.books.view(old, Some(old)).await?;
        let mut claims = Claims::new(self.books.clone(), view);
        allocation::removed(old, &mut claims);
        let mut reservation = claims.into_reservation(old);
        let metadata = |member: &str| old["metadata"][member].as_str().unwrap_or_default();
        let endpoints = kind("", "endpoints");
        reservation.after.push(Operation::Delete {
            key: keys::object(endpoints, metadata("namespace"), metadata("name")),
        });
        Ok(reservation)
    }
}

fn allocate(new: &mut Value, old: Option<&Value>, pools: &mut dyn Pools) -> Result<(), Status> {
    match old {
        None => allocation::create(new, pools),
        Some(old) => allocation::update(new, old, pools),
    }
}

/// The ports that a Service names.
fn named_ports(service: &Value) -> Vec<i64> {
    let spec = Spec::of(service);
    let mut ports = spec.node_ports();
    ports.push(spec.health_check_port());
    ports
}

/// The families of the configured ranges, in their order.
fn families(config: &Config) -> Vec<Family> {
    let ranges = config.service_cidrs.iter();
    ranges
        .map(|range| {
            if range.addr().is_ipv4() {
                Family::V4
            } else {
                Family::V6
            }
        })
        .collect()
}

fn kind(group: &str, plural: &str) -> &'static Resource {
    resources::find(group, plural).expect("a kind of this server")
}

#[cfg(test)]
mod tests;
