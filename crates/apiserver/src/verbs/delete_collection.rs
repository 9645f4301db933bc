//! DELETE of a collection: each selected object for itself.

use api::status::Status;

use crate::api_state::Api;
use crate::call::Call;
use crate::options::ListOptions;
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::delete;
use crate::verbs::list;

pub(crate) async fn delete_collection(
    api: &Api,
    call: &Call,
    target: &Target,
) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let listed = ListOptions::read(&call.query, target.resource)?;
    let options = delete::options(call)?;
    let (objects, meta) = list::select(api, target, &listed).await?;
    for object in &objects {
        let one = Target {
            resource: target.resource,
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            subresource: String::new(),
        };
        match delete::remove(api, call, &one, &options).await {
            Err(status) if status.code != 404 => return Err(status),
            _ => {}
        }
    }
    let body = view.list(&meta, objects.iter().map(|object| object.json()))?;
    Ok(Reply::either(200, view.form.yaml, body))
}
