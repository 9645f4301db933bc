//! Writes to the API server, with errors that say what was written.

use std::fmt::Debug;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::key::Key;

/// What can be written.
pub(crate) trait Writable:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> Writable for K {}

/// Makes an object.
pub(crate) async fn create<K: Writable>(api: &Api<K>, object: &K) -> Result<K> {
    let made = api.create(&PostParams::default(), object).await;
    made.map_err(|source| failure::<K>("create", &Key::of(object), source))
}

/// Replaces an object; its resourceVersion must still be the server's.
pub(crate) async fn replace<K: Writable>(api: &Api<K>, object: &K) -> Result<K> {
    let key = Key::of(object);
    let replaced = api.replace(&key.name, &PostParams::default(), object).await;
    replaced.map_err(|source| failure::<K>("update", &key, source))
}

/// Replaces an object's status.
pub(crate) async fn replace_status<K: Writable>(api: &Api<K>, object: &K) -> Result<K> {
    let key = Key::of(object);
    let replaced = api
        .replace_status(&key.name, &PostParams::default(), object)
        .await;
    replaced.map_err(|source| failure::<K>("update the status of", &key, source))
}

/// Merges a patch into an object.
pub(crate) async fn patch<K: Writable>(api: &Api<K>, key: &Key, patch: &Value) -> Result<K> {
    let patched = api
        .patch(&key.name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    patched.map_err(|source| failure::<K>("patch", key, source))
}

/// Merges a patch into an object's status.
pub(crate) async fn patch_status<K: Writable>(api: &Api<K>, key: &Key, patch: &Value) -> Result<K> {
    let patched = api
        .patch_status(&key.name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    patched.map_err(|source| failure::<K>("patch the status of", key, source))
}

/// Deletes the object with this uid; one that is gone already is no error.
pub(crate) async fn delete<K: Writable>(api: &Api<K>, key: &Key, uid: &str) -> Result<()> {
    delete_with(api, key, uid, DeleteParams::default()).await
}

/// The same with other parameters.
pub(crate) async fn delete_with<K: Writable>(
    api: &Api<K>,
    key: &Key,
    uid: &str,
    mut parameters: DeleteParams,
) -> Result<()> {
    parameters.preconditions = Some(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    match api.delete(&key.name, &parameters).await {
        Ok(_) => Ok(()),
        Err(source) => {
            let problem = failure::<K>("delete", key, source);
            if problem.is_not_found() {
                Ok(())
            } else {
                Err(problem)
            }
        }
    }
}

fn failure<K: Writable>(verb: &'static str, key: &Key, source: kube::Error) -> Error {
    Error::Api {
        verb,
        what: format!("{} {key}", K::kind(&())),
        source,
    }
}
