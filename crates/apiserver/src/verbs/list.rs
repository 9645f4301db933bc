//! GET of a collection: from the cache, or, for an old version, from the store's history.

use std::sync::Arc;
use std::time::Duration;

use api::status::Status;
use serde_json::json;
use store::{RangeQuery, Revision};

use crate::api_state::{Api, store_failed};
use crate::call::Call;
use crate::keys;
use crate::options::ListOptions;
use crate::registry::Stored;
use crate::render::ListMeta;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::list::page::Page;

pub(crate) mod page;

/// How long a version that has not come yet is waited for, as upstream.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn list(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let options = ListOptions::read(&call.query, target.resource)?;
    let (objects, meta) = select(api, target, &options).await?;
    let body = view.list(&meta, objects.iter().map(|object| object.json()))?;
    Ok(Reply::either(200, view.form.yaml, body))
}

/// The selected objects of one page, and the list's metadata.
pub(crate) async fn select(
    api: &Api,
    target: &Target,
    options: &ListOptions,
) -> Result<(Vec<Arc<Stored>>, ListMeta), Status> {
    let start = Page::read(options)?;
    let (objects, revision) = load(api, target, options, &start).await?;
    let limit = if options.resource_version == "0" {
        0
    } else {
        options.limit
    };
    let selected = |object: &Arc<Stored>| {
        options.fields.matches(&**object) && options.labels.matches(|key| object.label(key))
    };
    let total = objects.len();
    let mut kept: Vec<Arc<Stored>> = Vec::new();
    let mut seen = 0;
    for object in objects {
        if limit > 0 && kept.len() == limit {
            break;
        }
        seen += 1;
        if selected(&object) {
            kept.push(object);
        }
    }
    let rest = (total - seen) as u64;
    let proceed = match kept.last() {
        Some(last) if rest > 0 => page::token(revision, last.key(), &target.namespace),
        _ => String::new(),
    };
    let remaining = (rest > 0 && options.selects_all()).then_some(rest);
    let meta = ListMeta {
        resource_version: revision.to_string(),
        proceed,
        remaining,
    };
    Ok((kept, meta))
}

async fn load(
    api: &Api,
    target: &Target,
    options: &ListOptions,
    start: &Page,
) -> Result<(Vec<Arc<Stored>>, Revision), Status> {
    let cache = api.registry.of(target.resource);
    let after = start.after(&target.namespace);
    let at_least = start.revision;
    let exact = start.exact;
    if options.resource_version != "0" {
        api.fresh().await?;
    }
    reach(api, at_least).await?;
    let applied = api.registry.applied();
    if !exact || cache.revision() <= at_least {
        let name = options.fields.single_name().filter(|_| after.is_none());
        if let Some((name, namespace)) = name.zip(namespace_of(target, options)) {
            let found = cache.get(namespace, name);
            let newest = found
                .as_ref()
                .map_or(applied, |one| one.revision().max(applied));
            let revision = if exact { at_least } else { newest };
            return Ok((found.into_iter().collect(), revision));
        }
        let snapshot = cache.list_after(&target.namespace, after.as_deref());
        if !exact || snapshot.revision <= at_least {
            let revision = if exact {
                at_least
            } else {
                applied.max(snapshot.revision)
            };
            return Ok((snapshot.objects, revision));
        }
    }
    history(api, target, at_least, after.as_deref()).await
}

/// Where the only object can be that the selector names.
fn namespace_of<'a>(target: &'a Target, options: &'a ListOptions) -> Option<&'a str> {
    match (target.resource.namespaced, target.namespace.as_str()) {
        (false, _) => Some(""),
        (true, "") => options.fields.single_namespace(),
        (true, namespace) => Some(namespace),
    }
}

/// How it was: read from the store.
async fn history(
    api: &Api,
    target: &Target,
    revision: Revision,
    after: Option<&str>,
) -> Result<(Vec<Arc<Stored>>, Revision), Status> {
    let prefix = keys::kind(target.resource);
    let within = if target.namespace.is_empty() {
        prefix.clone()
    } else {
        format!("{prefix}{}/", target.namespace)
    };
    let mut query = RangeQuery::prefix(within);
    query.revision = Some(revision);
    if let Some(after) = after {
        query.start = format!("{prefix}{after}\0").into();
    }
    let range = api
        .registry
        .store()
        .range(query)
        .await
        .map_err(|e| store_failed(&e))?;
    let objects = range.items.iter().map(|pair| {
        let key = String::from_utf8_lossy(&pair.key[prefix.len()..]);
        Arc::new(Stored::new(
            target.resource,
            &key,
            &pair.value,
            pair.mod_revision,
        ))
    });
    Ok((objects.collect(), revision))
}

/// Waits a little for a version that is still to come.
///
/// # Errors
/// 504, when it does not come.
pub(crate) async fn reach(api: &Api, wanted: Revision) -> Result<(), Status> {
    if api.registry.applied() >= wanted {
        return Ok(());
    }
    match tokio::time::timeout(PATIENCE, api.registry.reach(wanted)).await {
        Ok(reached) => reached.map(drop).map_err(|error| store_failed(&error)),
        Err(_) => Err(too_large(wanted, api.registry.applied())),
    }
}

fn too_large(wanted: Revision, current: Revision) -> Status {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    Status::new(504, "Timeout", message).with_details(json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }))
}
