//! Paths below an object that are not the object itself in another light.

mod binding;
mod eviction;
mod log;
mod scale;
mod stream;
mod token;

use api::resource::Verb;
use api::status::Status;

use crate::api_state::Api;
use crate::call::Call;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs;

/// Carries out a verb on a subresource.
pub(crate) async fn serve(
    api: &Api,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Reply, Status> {
    match (target.subresource.as_str(), verb) {
        ("status" | "ephemeralcontainers" | "resize", Verb::Get) => {
            verbs::get::get(api, call, target).await
        }
        ("status" | "finalize" | "ephemeralcontainers" | "resize", Verb::Update) => {
            verbs::update::update(api, call, target).await
        }
        ("status" | "ephemeralcontainers" | "resize", Verb::Patch) => {
            verbs::patch::patch(api, call, target).await
        }
        ("scale", verb) => scale::serve(api, call, target, verb).await,
        ("binding", Verb::Create) => binding::create(api, call, target).await,
        ("eviction", Verb::Create) => eviction::create(api, call, target).await,
        ("token", Verb::Create) => token::create(api, call, target).await,
        ("log", Verb::Get) => log::get(api, call, target).await,
        ("attach" | "exec" | "portforward", _) => stream::connect(api, call, target).await,
        (name, _) => Err(not_yet(target, name)),
    }
}

/// POST to `/bindings`: the pod is the one that the binding names.
pub(crate) use binding::create as bind;

fn not_yet(target: &Target, name: &str) -> Status {
    let (plural, version) = (target.resource.plural, env!("CARGO_PKG_VERSION"));
    let message = format!("this server (Fairway {version}) does not serve {plural}/{name} yet");
    Status::new(501, "NotImplemented", message)
}
