//! From a read request to its answer: rights first, then what the path means.

use std::sync::Arc;
use std::time::Instant;

use api::resource::Verb;
use api::status::Status;
use http::Response;
use http::header::ACCEPT;
use serde_json::json;

use crate::accept::{Offers, check_route, negotiate};
use crate::api_state::Api;
use crate::body::Body;
use crate::call::Call;
use crate::discovery;
use crate::health;
use crate::identity::Identity;
use crate::not_yet;
use crate::openapi;
use crate::reply::{Reply, respond};
use crate::review;
use crate::routes::{Asked, Route, Target, route, verb};
use crate::subresources;
use crate::verbs;

/// Answers a request.
pub(crate) async fn answer(api: Arc<Api>, mut call: Call) -> Response<Body> {
    let began = Instant::now();
    call.modernise();
    let route = route(&call.path);
    let (word, resource) = match &route {
        Route::Objects(target) => (
            verb(&call.method, &call.query, &target.name),
            target.resource.plural,
        ),
        Route::Unknown(asked) => (verb(&call.method, &call.query, &asked.name), ""),
        Route::Other(_) => ("", ""),
    };
    let reply = match authorize(&call, &route, word) {
        Ok(()) => serve(&api, &call, route).await,
        Err(status) => Err(status),
    };
    let reply = reply.unwrap_or_else(|status| {
        let form = negotiate(call.header(ACCEPT), Offers::Nothing);
        Reply::failed(&status, form.is_ok_and(|form| form.yaml))
    });
    if word != "watch" {
        api.metrics
            .answered(word, resource, reply.code, began.elapsed());
    }
    respond(&call, reply)
}

async fn serve(api: &Arc<Api>, call: &Call, route: Route) -> Result<Reply, Status> {
    match route {
        Route::Objects(target) => objects(api, call, &target).await,
        Route::Unknown(asked) => unknown(api, call, &asked).await,
        Route::Other(segments) => other(api, call, &segments).await,
    }
}

async fn objects(api: &Arc<Api>, call: &Call, target: &Target) -> Result<Reply, Status> {
    let whole = call.query.flag("watch") == Some(true);
    let verb = method(call, target, whole).ok_or_else(method_not_allowed)?;
    check_place(target, verb)?;
    if let Some(text) = target.resource.strategy.rules().deprecation {
        call.warn(text);
    }
    if !target.subresource.is_empty() {
        let sub = target
            .resource
            .subresources
            .iter()
            .find(|sub| sub.name == target.subresource);
        if !sub.is_some_and(|sub| sub.verbs.contains(&verb)) {
            return Err(method_not_allowed());
        }
        return subresources::serve(api, call, target, verb).await;
    }
    if !target.resource.verbs.contains(&verb) {
        return Err(method_not_allowed());
    }
    // What reads a collection answers with streams as well.
    let streams = matches!(verb, Verb::List | Verb::Watch);
    check_route(call.header(ACCEPT), streams)?;
    match verb {
        Verb::Get => verbs::get::get(api, call, target).await,
        Verb::List => verbs::list::list(api, call, target).await,
        Verb::Watch => verbs::watch::watch(api, call, target).await,
        Verb::Create => verbs::create::create(api, call, target).await,
        Verb::Update => verbs::update::update(api, call, target).await,
        Verb::Patch => verbs::patch::patch(api, call, target).await,
        Verb::Delete => verbs::delete::delete(api, call, target).await,
        Verb::DeleteCollection => {
            verbs::delete_collection::delete_collection(api, call, target).await
        }
    }
}

fn method(call: &Call, target: &Target, watch: bool) -> Option<Verb> {
    let collection = target.name.is_empty();
    let below = !target.subresource.is_empty();
    match (call.method.as_str(), collection) {
        ("GET", true) if watch => Some(Verb::Watch),
        ("GET", true) => Some(Verb::List),
        ("GET", false) => Some(Verb::Get),
        ("POST", true) => Some(Verb::Create),
        ("POST", false) if below => Some(Verb::Create),
        ("PUT", false) => Some(Verb::Update),
        ("PATCH", false) => Some(Verb::Patch),
        ("DELETE", false) => Some(Verb::Delete),
        ("DELETE", true) => Some(Verb::DeleteCollection),
        _ => None,
    }
}

/// Names must fit a path; all namespaces together can only be read.
fn check_place(target: &Target, verb: Verb) -> Result<(), Status> {
    let all_namespaces = target.resource.namespaced && target.namespace.is_empty();
    if all_namespaces && !matches!(verb, Verb::List | Verb::Watch) {
        return Err(method_not_allowed());
    }
    let name = target.name.as_str();
    if name.contains(['/', '%']) {
        return Err(nothing_here());
    }
    if matches!(name, "." | "..") {
        let text = format!("Name parameter invalid: \"{name}\": may not be '{name}'");
        return Err(Status::bad_request(text));
    }
    Ok(())
}

async fn unknown(api: &Api, call: &Call, asked: &Asked) -> Result<Reply, Status> {
    if let Some(reply) = review::serve(api, call, asked)? {
        return Ok(reply);
    }
    let is_binding =
        asked.group.is_empty() && asked.resource == "bindings" && asked.name.is_empty();
    if is_binding && !asked.namespace.is_empty() && call.method == http::Method::POST {
        let resource = api::resources::find("", "pods").expect("pods are always served");
        let target = Target {
            resource,
            namespace: asked.namespace.clone(),
            name: String::new(),
            subresource: "binding".to_owned(),
        };
        return subresources::bind(api, call, &target).await;
    }
    if is_binding && !asked.namespace.is_empty() {
        return Err(method_not_allowed());
    }
    if !asked.group.is_empty() && !is_group(&asked.group) {
        return Ok(health::no_page());
    }
    Err(not_yet::refusal(asked).unwrap_or_else(nothing_here))
}

async fn other(api: &Arc<Api>, call: &Call, segments: &[String]) -> Result<Reply, Status> {
    let all: Vec<&str> = segments.iter().map(String::as_str).collect();
    let parts = match all.as_slice() {
        [head @ .., ""] if !head.is_empty() => head,
        all => all,
    };
    match parts {
        ["healthz" | "livez" | "readyz", ..] => health::check(api, call, &all),
        ["version"] => health::version(call),
        ["version", ..] => Err(nothing_here()),
        ["metrics"] => Ok(api.metrics.text(&api.registry)),
        ["openapi", "v2"] | ["openapi", "v3", ..] if parts.len() == all.len() => {
            openapi::serve(api, call, parts).await
        }
        ["apis", group, ..] if !is_group(group) => Ok(health::no_page()),
        [] | [""] | ["api" | "apis", ..] if !call.path.starts_with("//") => {
            discovery::serve(api, call, parts)
        }
        _ => Ok(health::no_page()),
    }
}

/// Whether Kubernetes has this group; paths of others lead nowhere.
fn is_group(group: &str) -> bool {
    discovery::groups().contains(&group) || not_yet::is_group(group)
}

/// 404 of a path that is no resource.
pub(crate) fn nothing_here() -> Status {
    let text = "the server could not find the requested resource";
    Status::new(404, "NotFound", text).with_details(json!({}))
}

pub(crate) fn method_not_allowed() -> Status {
    let text = "the server does not allow this method on the requested resource";
    Status::new(405, "MethodNotAllowed", text).with_details(json!({}))
}

fn authorize(call: &Call, route: &Route, word: &str) -> Result<(), Status> {
    let identity = &call.identity;
    if identity.may_do_all() {
        return Ok(());
    }
    match route {
        Route::Objects(target) => forbid(identity, word, &target.asked()),
        Route::Unknown(asked) if review::is_about_oneself(asked) && identity.may_discover() => {
            Ok(())
        }
        Route::Unknown(asked) => forbid(identity, word, asked),
        Route::Other(segments) => match segments.first().map(String::as_str) {
            Some("healthz" | "livez" | "readyz" | "version") => Ok(()),
            Some("api" | "apis" | "openapi") if identity.may_discover() => Ok(()),
            _ => Err(forbidden_path(call)),
        },
    }
}

fn forbid(identity: &Identity, word: &str, asked: &Asked) -> Result<(), Status> {
    let resource = match asked.subresource.as_str() {
        "" => asked.resource.clone(),
        sub => format!("{}/{sub}", asked.resource),
    };
    let place = if asked.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", asked.namespace)
    };
    let (user, group) = (&identity.name, &asked.group);
    let why = format!(
        "User \"{user}\" cannot {word} resource \"{resource}\" in API group \"{group}\" {place}"
    );
    let plural = match group.as_str() {
        "" => asked.resource.clone(),
        group => format!("{}.{group}", asked.resource),
    };
    let status = Status::forbidden(group, &asked.resource, &asked.name, &why);
    let message = if asked.name.is_empty() {
        format!("{plural} is forbidden: {why}")
    } else {
        status.message.clone()
    };
    Err(Status { message, ..status })
}

fn forbidden_path(call: &Call) -> Status {
    let (user, path) = (&call.identity.name, &call.path);
    let method = call.method.as_str().to_ascii_lowercase();
    let text = format!("forbidden: User \"{user}\" cannot {method} path \"{path}\"");
    Status::new(403, "Forbidden", text).with_details(json!({}))
}
