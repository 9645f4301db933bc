//! GET of a collection with `watch=1`: what is there, if wanted, then every change until the time is over.

mod events;

use std::time::Duration;

use api::status::Status;
use store::Revision;

use crate::api_state::Api;
use crate::call::Call;
use crate::options::ListOptions;
use crate::registry::Snapshot;
use crate::reply::{JSON, Reply};
use crate::routes::Target;
use crate::verbs::get::invalid_version;
use events::{Feed, Start};

/// A watch without `timeoutSeconds` lasts this long, and up to twice as long (`--min-request-timeout`).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1_800);

pub(crate) async fn watch(
    api: &std::sync::Arc<Api>,
    call: &Call,
    target: &Target,
) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let options = ListOptions::read(&call.query, target.resource)?;
    let version = version(&options.resource_version)?;
    let timeout = match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => DEFAULT_TIMEOUT.mul_f64(rand::random_range(1.0..2.0)),
    };
    let start = start(api, target, &options, version).await?;
    let feed = Feed::new(api.clone(), view, target, options, start);
    Ok(Reply::stream(200, JSON, feed.stream(timeout)))
}

fn version(text: &str) -> Result<Revision, Status> {
    if text.is_empty() {
        return Ok(Revision::default());
    }
    text.parse()
        .map(Revision)
        .map_err(|error| Status::untyped(invalid_version(text, &error)))
}

async fn start(
    api: &Api,
    target: &Target,
    options: &ListOptions,
    version: Revision,
) -> Result<Start, Status> {
    let cache = api.registry.of(target.resource);
    let with_state = options
        .send_initial_events
        .unwrap_or(version == Revision::default());
    if with_state {
        if options.resource_version != "0" {
            api.fresh().await?;
        }
        let Snapshot {
            objects,
            next,
            revision,
        } = cache.list(&target.namespace);
        let seen = api.registry.applied().max(revision);
        return Ok(Start {
            objects,
            next,
            after: seen,
            expired: None,
        });
    }
    let after = if version == Revision::default() {
        api.fresh().await?
    } else {
        version
    };
    let (next, expired) = match cache.position_after(after) {
        Ok(next) => (next, None),
        Err(expired) => (0, Some(expired.oldest)),
    };
    Ok(Start {
        objects: Vec::new(),
        next,
        after,
        expired,
    })
}
